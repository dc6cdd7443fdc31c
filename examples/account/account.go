// Package account is the domain of the examples bank and bucket: event-sourced bank
// accounts, whose events stand in a journal and whose states, now and then, in a stack
// of snapshots.
//
// The journal alone is the truth. An operation is acknowledged when its event is in the
// journal; a snapshot only spares the replay of the events before it. So a snapshot that
// could not be saved, one that is old, or none at all makes the next wake longer, and
// never the balance wrong.
package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/snapstack/snapstack/store"
)

// An Event is something that happened to an account.
type Event struct {
	Amount int64 `json:"amount"` // in cents; a withdrawal is negative
}

// State is what the events of an account add up to, and what its snapshots hold.
type State struct {
	Balance int64 `json:"balance"` // in cents
	Events  int64 `json:"events"`  // applied so far
}

func (s *State) apply(e Event) {
	s.Balance += e.Amount
	s.Events++
}

// ErrOverdrawn is the answer to a withdrawal of more than there is.
var ErrOverdrawn = errors.New("account: overdrawn")

// A Bank wakes accounts. It is safe for concurrent use.
type Bank struct {
	journal   *Journal
	snapshots *store.Typed[State]
	due       store.Policy

	// OnSnapshotError is told why a snapshot was not saved, by the goroutine of the
	// operation that asked for it; nil means nobody is told. It is set before the first
	// Wake.
	OnSnapshotError func(error)
}

// NewBank returns a Bank on a journal and a stack, of which it owns neither. Due says when
// an account is to be saved.
func NewBank(journal *Journal, snapshots store.SnapshotStore, due store.Policy) *Bank {
	return &Bank{journal: journal, snapshots: store.NewTyped(snapshots, store.JSON[State]()), due: due}
}

// An Account is one that is awake. Like an actor it serves one caller at a time.
type Account struct {
	ID       string
	State    State
	Replayed int // how many events were replayed when it woke

	bank  *Bank
	nr    uint64 // sequence number of the last event that was applied
	since store.Since
	saved time.Time // when the last snapshot was, or the Account woke
}

// Wake brings an account back: its latest snapshot, and the events after that. An
// account without events is a new one.
func (b *Bank) Wake(ctx context.Context, id string) (*Account, error) {
	a := &Account{ID: id, bank: b, saved: time.Now()}
	state, nr, err := b.snapshots.LoadLatest(ctx, id)
	switch {
	case err == nil:
		a.State, a.nr = state, nr
	case !errors.Is(err, store.ErrNotFound):
		// A store that fails is not an account without a snapshot. To replay everything
		// would be right as well, but every account doing so is how an outage spreads.
		return nil, err
	}
	for record, err := range b.journal.After(ctx, id, a.nr) {
		if err != nil {
			return nil, err
		}
		a.applied(record)
		a.Replayed++
	}
	return a, nil
}

// Deposit adds an amount in cents, above 0. When it returns nil the deposit is in the
// journal, and not before.
func (a *Account) Deposit(ctx context.Context, cents int64) error {
	if cents <= 0 {
		return fmt.Errorf("account: deposit of %d cents; allowed is 1 and more", cents)
	}
	return a.record(ctx, Event{Amount: cents})
}

// Withdraw takes an amount in cents, above 0, if the balance allows it.
func (a *Account) Withdraw(ctx context.Context, cents int64) error {
	if cents <= 0 {
		return fmt.Errorf("account: withdrawal of %d cents; allowed is 1 and more", cents)
	}
	if cents > a.State.Balance {
		return ErrOverdrawn
	}
	return a.record(ctx, Event{Amount: -cents})
}

// record appends the event, applies it, and saves a snapshot where one is due. After an
// error the account must be woken again: the event may be in the journal all the same.
func (a *Account) record(ctx context.Context, e Event) error {
	record, err := a.bank.journal.Append(ctx, a.ID, a.nr+1, e)
	if err != nil {
		return err
	}
	a.applied(record)
	a.since.Elapsed = time.Since(a.saved)
	if !a.bank.due(a.since) {
		return nil
	}
	// The snapshot comes after its events are in the journal: one that was ahead of it
	// would hold what never happened.
	if err := a.bank.snapshots.Save(ctx, a.ID, a.nr, a.State); err != nil {
		// The deposit has been made, so it does not fail. The next one is due again.
		if a.bank.OnSnapshotError != nil {
			a.bank.OnSnapshotError(err)
		}
		return nil
	}
	a.since, a.saved = store.Since{}, time.Now()
	return nil
}

func (a *Account) applied(r Record) {
	a.State.apply(r.Event)
	a.nr = r.SequenceNr
	a.since.Events++
	a.since.Bytes += uint64(r.Bytes)
}
