package cache

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/snapstack/snapstack/store"
)

// SingleflightStats is what a Singleflight has done since it was made.
type SingleflightStats struct {
	Flights int64 // loads of the latest passed to the inner store
	Shared  int64 // loads that joined one of those instead
}

// Singleflight is a wrapper that lets concurrent loads of the latest snapshot of
// an id share one load of the inner store, a flight. LoadBefore passes through.
//
// A flight has a context of its own: that of the caller who began it, with its values
// and without its end, cancelled when nobody waits any more. It has a goroutine of its
// own too, unless the context of that caller can't end. A caller whose context ends leaves at once, and the flight goes on for the
// others. What comes of it, be it a snapshot, an error, a panic or a
// runtime.Goexit, goes to those who waited and to nobody else. A panic carries the
// stack of the flight's goroutine, and unwraps to its value where that is an error.
//
// Callers of LoadLatest each own their State, so that n of them who share a flight
// hold n copies of it. Callers of ViewLatest are lent one between them.
type Singleflight struct {
	inner store.SnapshotStore
	gate  store.Gate

	overlaps overlaps           // whose lock guards flights and the waiters of each
	flights  map[string]*flight // those that may be joined

	flying  sync.WaitGroup // all flights
	started atomic.Int64
	shared  atomic.Int64
}

// A flight is one load of the inner store.
type flight struct {
	ctx     flightContext
	waiters int  // callers waiting now
	joined  bool // by a second caller, ever: the State may not be given away

	done chan struct{} // closed when what follows is set

	snap   store.Snapshot
	err    error
	panic  *flightPanic // the inner store panicked
	exited bool         // the inner store called runtime.Goexit
}

var (
	_ store.SnapshotStore = (*Singleflight)(nil)
	_ store.Wrapper       = (*Singleflight)(nil)
	_ store.Viewer        = (*Singleflight)(nil)
)

// NewSingleflight returns a Singleflight over inner, which it closes when it is
// closed itself. A nil inner store panics: it has no options that could be wrong, so
// there is no error to return.
func NewSingleflight(inner store.SnapshotStore) *Singleflight {
	if inner == nil {
		panic("cache: NewSingleflight over a nil store")
	}
	return &Singleflight{inner: inner, overlaps: newOverlaps(), flights: make(map[string]*flight)}
}

// Save implements store.SnapshotStore.
func (s *Singleflight) Save(ctx context.Context, snap store.Snapshot) error {
	return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, s.save(ctx, snap))
}

func (s *Singleflight) save(ctx context.Context, snap store.Snapshot) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckSave(snap); err != nil {
		return err
	}
	defer s.endWrite(snap.PersistenceID, s.beginWrite(snap.PersistenceID))
	return s.inner.Save(ctx, snap)
}

// Delete implements store.SnapshotStore.
func (s *Singleflight) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return store.Wrap(store.OpDelete, persistenceID, toSequenceNr, s.delete(ctx, persistenceID, toSequenceNr))
}

func (s *Singleflight) delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckID(persistenceID); err != nil {
		return err
	}
	defer s.endWrite(persistenceID, s.beginWrite(persistenceID))
	return s.inner.Delete(ctx, persistenceID, toSequenceNr)
}

// LoadLatest implements store.SnapshotStore.
func (s *Singleflight) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	defer s.gate.Leave()
	f, err := s.wait(ctx, persistenceID)
	if err != nil {
		return store.Snapshot{}, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	snap := f.snap
	if f.joined {
		snap.State = bytes.Clone(snap.State)
	}
	return snap, nil
}

// ViewLatest implements store.Viewer. All who share a flight are lent the same
// bytes, which a Cache directly above may keep.
func (s *Singleflight) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	defer s.gate.Leave()
	f, err := s.wait(ctx, persistenceID)
	if err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	return view(f.snap)
}

// LoadBefore implements store.SnapshotStore.
func (s *Singleflight) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
	}
	defer s.gate.Leave()
	return s.inner.LoadBefore(ctx, persistenceID, sequenceNr)
}

// Invalidate keeps loads that begin after it from joining one that is in flight: for
// when another process is known to have written. It tells the layers of this
// package beneath, too.
func (s *Singleflight) Invalidate(persistenceID string) {
	if inner, ok := store.As[invalidator](s.inner); ok { // inwards first, as in Cache
		inner.Invalidate(persistenceID)
	}
	s.overlaps.mu.Lock()
	defer s.overlaps.mu.Unlock()
	delete(s.flights, persistenceID)
}

// Purge does for every id what Invalidate does for one.
func (s *Singleflight) Purge() {
	if inner, ok := store.As[invalidator](s.inner); ok {
		inner.Purge()
	}
	s.overlaps.mu.Lock()
	defer s.overlaps.mu.Unlock()
	clear(s.flights)
}

// Stats returns what has happened so far.
func (s *Singleflight) Stats() SingleflightStats {
	return SingleflightStats{Flights: s.started.Load(), Shared: s.shared.Load()}
}

// Close implements store.SnapshotStore.
func (s *Singleflight) Close() error {
	return s.gate.Close(func() error {
		s.flying.Wait() // nobody waits for these any more: all of them are cancelled
		return s.inner.Close()
	})
}

// Unwrap implements store.Wrapper.
func (s *Singleflight) Unwrap() store.SnapshotStore { return s.inner }

// beginWrite announces a write of the id. From now on nobody joins a flight that
// began before, and until endWrite, whatever becomes of the write, nobody joins one
// at all.
func (s *Singleflight) beginWrite(id string) *overlap {
	s.overlaps.mu.Lock()
	defer s.overlaps.mu.Unlock()
	delete(s.flights, id)
	return s.overlaps.beginWrite(id)
}

func (s *Singleflight) endWrite(id string, at *overlap) {
	s.overlaps.mu.Lock()
	defer s.overlaps.mu.Unlock()
	s.overlaps.endWrite(id, at)
}

// wait joins a flight or starts one, and returns it when it has landed with a
// snapshot.
func (s *Singleflight) wait(ctx context.Context, id string) (*flight, error) {
	if err := store.CheckID(id); err != nil {
		return nil, err
	}
	s.overlaps.mu.Lock()
	f := s.flights[id]
	begins := f == nil
	if begins {
		f = s.start(ctx, id)
	} else {
		f.joined = true
		s.shared.Add(1)
	}
	f.waiters++
	s.overlaps.mu.Unlock()

	switch {
	case !begins:
	case ctx.Done() == nil:
		// This caller can't leave early, so it may as well load by itself: to have a
		// goroutine do it costs a microsecond or two.
		s.fly(id, f)
	default:
		go s.fly(id, f)
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		s.overlaps.mu.Lock()
		if f.waiters--; f.waiters == 0 {
			s.forget(id, f) // a newcomer must not join what is cancelled
			f.ctx.end()
		}
		s.overlaps.mu.Unlock()
		return nil, ctx.Err()
	}
	switch {
	case f.panic != nil:
		panic(f.panic)
	case f.exited:
		runtime.Goexit()
	}
	return f, f.err
}

// start makes a flight, which the caller has to fly, and lets others join it, where
// they may. It needs the lock.
//
// While a write of the id is in flight every load flies alone: it may come back with
// the state before the write, and a caller who would join it may have seen the one
// after, through LoadBefore. It stays out of flights for good, since the write will
// have ended by the time that others may be joined again. So a flight in there
// began when no write was in flight, none has begun since, and whoever joins it
// could not have got anything newer.
func (s *Singleflight) start(ctx context.Context, id string) *flight {
	f := &flight{ctx: flightContext{values: context.WithoutCancel(ctx)}, done: make(chan struct{})}
	if !s.overlaps.writing(id) {
		s.flights[id] = f
	}
	s.started.Add(1)
	s.flying.Add(1)
	return f
}

// fly loads for f.
func (s *Singleflight) fly(id string, f *flight) {
	defer s.flying.Done()
	f.exited = true // unless the inner store returns or panics
	defer func() {
		// Where nobody waits any more the panic goes to nobody, as an error would.
		if value := recover(); value != nil {
			f.exited = false
			f.panic = &flightPanic{value: value, stack: debug.Stack()}
		}
		s.overlaps.mu.Lock()
		s.forget(id, f) // from now on nobody sets joined
		s.overlaps.mu.Unlock()
		f.ctx.end()
		close(f.done)
	}()
	f.snap, f.err = s.inner.LoadLatest(&f.ctx, id)
	f.snap.State = slices.Clip(f.snap.State) // a viewer that appends must not write into what others see
	f.exited = false
}

// forget keeps others from joining f. It needs the lock. The flight that may be
// joined can be another one by now, begun after a write.
func (s *Singleflight) forget(id string, f *flight) {
	if s.flights[id] == f {
		delete(s.flights, id)
	}
}

// A flightPanic carries a panic of the inner store from the goroutine of a flight
// to the callers that waited for it.
type flightPanic struct {
	value any
	stack []byte
}

// Error prints the stack where the panic happened: the caller's is of no use.
func (p *flightPanic) Error() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

// Unwrap returns the value of the panic where that is an error.
func (p *flightPanic) Unwrap() error {
	err, _ := p.value.(error)
	return err
}
