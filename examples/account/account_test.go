package account_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/snapstack/snapstack/examples/account"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ada = "account-ada"

// open returns a journal, and memory for the snapshots.
func open(t *testing.T) (*sql.DB, *account.Journal, store.SnapshotStore) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	journal, err := account.OpenJournal(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return db, journal, snapshots
}

func wake(t *testing.T, bank *account.Bank, replayed int, balance int64) *account.Account {
	t.Helper()
	a, err := bank.Wake(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	if a.Replayed != replayed || a.State.Balance != balance {
		t.Errorf("woke with a balance of %d after %d replayed events; want %d after %d", a.State.Balance, a.Replayed, balance, replayed)
	}
	return a
}

func deposit(t *testing.T, a *account.Account, cents ...int64) {
	t.Helper()
	for _, c := range cents {
		if err := a.Deposit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAccountComesBackFromSnapshotAndEvents(t *testing.T) {
	_, journal, snapshots := open(t)
	bank := account.NewBank(journal, snapshots, store.EveryN(3))
	a := wake(t, bank, 0, 0)
	deposit(t, a, 100, 10)
	a = wake(t, bank, 2, 110) // what was replayed counts for the next snapshot
	deposit(t, a, 1)
	wake(t, bank, 0, 111)
	if err := a.Withdraw(t.Context(), 112); !errors.Is(err, account.ErrOverdrawn) {
		t.Errorf("Withdraw of more than there is: %v", err)
	}
	if err := a.Withdraw(t.Context(), 11); err != nil {
		t.Fatal(err)
	}
	wake(t, bank, 1, 100)
	for _, cents := range []int64{0, -5} {
		if a.Deposit(t.Context(), cents) == nil || a.Withdraw(t.Context(), cents) == nil {
			t.Errorf("an amount of %d was accepted", cents)
		}
	}
	wake(t, bank, 1, 100)
}

func TestSecondWriterIsRefused(t *testing.T) {
	_, journal, snapshots := open(t)
	bank := account.NewBank(journal, snapshots, store.EveryN(3))
	a, b := wake(t, bank, 0, 0), wake(t, bank, 0, 0)
	deposit(t, a, 100)
	if err := b.Deposit(t.Context(), 5); !errors.Is(err, account.ErrConflict) {
		t.Errorf("Deposit on an account that has moved on: %v; want ErrConflict", err)
	}
	deposit(t, wake(t, bank, 1, 100), 5)
	wake(t, bank, 2, 105)
}

// A stack that fails delays snapshots, and is not taken for an account without one.
func TestFailingSnapshots(t *testing.T) {
	_, journal, inner := open(t)
	failure := errors.New("bucket on fire")
	failing := ""
	faults := storetest.NewFaults(inner, storetest.FaultOptions{Before: func(op, _ string) error {
		if op == failing {
			return failure
		}
		return nil
	}})
	bank := account.NewBank(journal, faults, store.EveryN(2))
	var told error
	bank.OnSnapshotError = func(err error) { told = err }
	a := wake(t, bank, 0, 0)
	failing = store.OpSave
	deposit(t, a, 1, 1)
	if !errors.Is(told, failure) {
		t.Errorf("OnSnapshotError was told %v", told)
	}
	failing = ""
	deposit(t, a, 1) // due again
	wake(t, bank, 0, 3)
	failing = store.OpLoadLatest
	if _, err := bank.Wake(t.Context(), ada); !errors.Is(err, failure) {
		t.Errorf("Wake with a store that fails: %v; want its failure", err)
	}
}

func TestJournalWithAHoleIsAnError(t *testing.T) {
	db, journal, snapshots := open(t)
	bank := account.NewBank(journal, snapshots, store.EveryN(0))
	deposit(t, wake(t, bank, 0, 0), 1, 2, 3)
	if _, err := db.ExecContext(context.Background(), "DELETE FROM journal WHERE seq = 2"); err != nil {
		t.Fatal(err)
	}
	if a, err := bank.Wake(t.Context(), ada); err == nil {
		t.Errorf("woke with a balance of %d from a journal with a hole", a.State.Balance)
	}
}
