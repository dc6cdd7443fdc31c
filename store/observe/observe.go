// Package observe has the wrapper that tells what passes it: each operation's
// duration, size and outcome, to log/slog, or by package
// store/observe/opentelemetry to metrics and spans, or to an Observer of one's own. It may
// stand anywhere in a stack, and more than once: above a cache it sees what callers
// wait for, beneath it what the cache lets through.
package observe

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/snapstack/snapstack/store"
)

// A Call is an operation that is about to be made.
type Call struct {
	Layer         string // of the Options
	Op            string // one of the store.Op constants
	PersistenceID string // empty for a listing of every id
	SequenceNr    uint64 // of Save; the bound of LoadBefore and Delete
	StateBytes    int    // of Save
}

// A Result is an operation that has been made.
type Result struct {
	Call
	Duration time.Duration // of a view, until it was called; of a listing, with its loop
	Found    uint64        // the sequence number that a load found
	Bytes    int           // of the state that a load found, or that was saved
	Err      error
}

// An Observer is told of operations. It is called concurrently.
type Observer interface {
	// Begin is told of a call ahead of it. The call is made with the context that it
	// returns, which is ctx or derived from it, and end is told once what came of it.
	Begin(ctx context.Context, call Call) (derived context.Context, end func(Result))
}

// Options configures a Store.
type Options struct {
	// Layer tells this place in the stack from others; "" means "store".
	Layer string

	// Observers are told of every operation, in this order; at least one.
	Observers []Observer

	// Now is the clock, called concurrently; nil means time.Now.
	Now func() time.Time
}

// Store is the wrapper.
type Store struct {
	inner store.SnapshotStore
	opts  Options
}

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Wrapper       = (*Store)(nil)
	_ store.Viewer        = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
)

// errPanicked is the outcome of a call in which the inner store panicked. The panic
// goes on.
var errPanicked = errors.New("observe: the inner store panicked")

// New returns a Store over inner, which it closes when it is closed itself.
func New(inner store.SnapshotStore, opts Options) (*Store, error) {
	if inner == nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("observe: %w inner store: nil", store.ErrInvalid))
	}
	if len(opts.Observers) == 0 || slices.Contains(opts.Observers, nil) {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("observe: %w Observers: none, or a nil one; allowed is one or more", store.ErrInvalid))
	}
	if opts.Layer == "" {
		opts.Layer = "store"
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.Observers = slices.Clone(opts.Observers)
	return &Store{inner: inner, opts: opts}, nil
}

// Save implements store.SnapshotStore.
func (s *Store) Save(ctx context.Context, snap store.Snapshot) error {
	o := s.begin(ctx, Call{Op: store.OpSave, PersistenceID: snap.PersistenceID, SequenceNr: snap.SequenceNr, StateBytes: len(snap.State)})
	defer o.endPanicked()
	err := s.inner.Save(o.ctx, snap)
	o.end(0, len(snap.State), err)
	return err
}

// LoadLatest implements store.SnapshotStore.
func (s *Store) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	o := s.begin(ctx, Call{Op: store.OpLoadLatest, PersistenceID: persistenceID})
	defer o.endPanicked()
	snap, err := s.inner.LoadLatest(o.ctx, persistenceID)
	o.end(snap.SequenceNr, len(snap.State), err)
	return snap, err
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	o := s.begin(ctx, Call{Op: store.OpLoadBefore, PersistenceID: persistenceID, SequenceNr: sequenceNr})
	defer o.endPanicked()
	snap, err := s.inner.LoadBefore(o.ctx, persistenceID, sequenceNr)
	o.end(snap.SequenceNr, len(snap.State), err)
	return snap, err
}

// ViewLatest implements store.Viewer. It is told as a load that ends where view
// begins.
func (s *Store) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	o := s.begin(ctx, Call{Op: store.OpLoadLatest, PersistenceID: persistenceID})
	defer o.endPanicked()
	err := store.ViewLatest(o.ctx, s.inner, persistenceID, func(snap store.Snapshot) error {
		o.end(snap.SequenceNr, len(snap.State), nil)
		return view(snap)
	})
	o.end(0, 0, err) // where view was not called
	return err
}

// Delete implements store.SnapshotStore.
func (s *Store) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	o := s.begin(ctx, Call{Op: store.OpDelete, PersistenceID: persistenceID, SequenceNr: toSequenceNr})
	defer o.endPanicked()
	err := s.inner.Delete(o.ctx, persistenceID, toSequenceNr)
	o.end(0, 0, err)
	return err
}

// List implements store.Lister. Where the inner store can't list, so it says.
func (s *Store) List(ctx context.Context, persistenceID string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		o := s.begin(ctx, Call{Op: store.OpList, PersistenceID: persistenceID})
		defer o.endPanicked()
		var failed error
		for info, err := range store.List(o.ctx, s.inner, persistenceID) {
			failed = err
			if !yield(info, err) {
				break
			}
		}
		o.end(0, 0, failed)
	}
}

// Close implements store.SnapshotStore.
func (s *Store) Close() error { return s.inner.Close() }

// Unwrap implements store.Wrapper.
func (s *Store) Unwrap() store.SnapshotStore { return s.inner }

// An operation is one that the observers have been told of.
type operation struct {
	s     *Store
	ctx   context.Context // to make the call with
	call  Call
	begun time.Time
	ends  []func(Result) // nil when told
}

func (s *Store) begin(ctx context.Context, call Call) *operation {
	call.Layer = s.opts.Layer
	o := &operation{s: s, ctx: ctx, call: call, ends: make([]func(Result), len(s.opts.Observers))}
	for i, observer := range s.opts.Observers {
		o.ctx, o.ends[i] = observer.Begin(o.ctx, call)
	}
	o.begun = s.opts.Now()
	return o
}

// end tells the observers, unless they have been told.
func (o *operation) end(found uint64, bytes int, err error) {
	if o.ends == nil {
		return
	}
	result := Result{Call: o.call, Duration: o.s.opts.Now().Sub(o.begun), Err: err}
	if err == nil {
		result.Found, result.Bytes = found, bytes
	}
	ends := o.ends
	o.ends = nil
	for _, end := range slices.Backward(ends) { // the last to begin is the first to end, as spans are nested
		end(result)
	}
}

func (o *operation) endPanicked() { o.end(0, 0, errPanicked) }
