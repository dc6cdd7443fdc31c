package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/store"
)

func endedContextDoesNothing(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	mustSave(t, s, "order-1", 5, "five")
	wantLatest(t, s, "order-1", 5, "five") // so that wrappers which remember can answer

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	because, cancelBecause := context.WithCancelCause(t.Context())
	cancelBecause(errors.New("the application's reason"))

	for _, ctx := range []context.Context{cancelled, expired, because} {
		for _, op := range operations(t, s) {
			err := op.call(ctx, s, "order-1")
			wantError(t, op.name+" with an ended context", err, ctx.Err())
		}
		err := store.ViewLatest(ctx, s, "order-1", func(store.Snapshot) error {
			t.Error("ViewLatest with an ended context called view")
			return nil
		})
		wantError(t, "ViewLatest with an ended context", err, ctx.Err())
	}
	wantLatest(t, s, "order-1", 5, "five")
	wantNumbers(t, s, "order-1", 5)
}

func contextsEndDuringCalls(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	const size = 32 << 10
	whole := func(op string, snap store.Snapshot) {
		t.Helper()
		if len(snap.State) != size || !bytes.Equal(snap.State, bytes.Repeat([]byte{byte(snap.SequenceNr)}, size)) {
			t.Errorf("%s gave a state of number %d that nobody saved", op, snap.SequenceNr)
		}
	}
	mustSave(t, s, "order-1", 0, string(make([]byte, size)))

	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			state := make([]byte, size)
			for i := range 60 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Duration(i*g)*time.Microsecond)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range i * 3 {
						runtime.Gosched()
					}
					cancel()
				}()
				nr := uint64(g*60 + i)
				var err error
				switch i % 4 {
				case 0, 1:
					for j := range state {
						state[j] = byte(nr)
					}
					err = s.Save(ctx, store.Snapshot{PersistenceID: "order-1", SequenceNr: nr, State: state})
					// Save has returned, so the buffer is the caller's again: under -race
					// this shows a layer that still reads it.
					clear(state)
				case 2:
					var snap store.Snapshot
					if snap, err = s.LoadLatest(ctx, "order-1"); err == nil {
						whole("LoadLatest", snap)
						clear(snap.State)
					}
				case 3:
					err = store.ViewLatest(ctx, s, "order-1", func(snap store.Snapshot) error {
						whole("ViewLatest", snap)
						return nil
					})
				}
				cancel()
				<-done
				if err != nil && !errors.Is(err, ctx.Err()) {
					t.Errorf("a call whose context ended returned %v; want nil or an error matching %v", err, ctx.Err())
				}
			}
		})
	}
	wg.Wait()

	bound := uint64(math.MaxUint64)
	for {
		snap, err := s.LoadBefore(t.Context(), "order-1", bound)
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatalf("LoadBefore: %v", err)
		}
		whole("LoadBefore", snap)
		bound = snap.SequenceNr
	}
	mustSave(t, s, "order-1", 1000, "after all")
	wantLatest(t, s, "order-1", 1000, "after all")
}

func closeIsIdempotent(t *testing.T, open Open) {
	s := open(t, Config{})
	mustSave(t, s, "order-1", 1, "one")
	for i := range 3 {
		if err := s.Close(); err != nil {
			t.Errorf("Close number %d: %v", i+1, err)
		}
	}
	unused := open(t, Config{})
	if err := unused.Close(); err != nil {
		t.Errorf("Close of a store that was never used: %v", err)
	}
}

func useAfterCloseIsErrClosed(t *testing.T, open Open) {
	s := open(t, Config{})
	mustSave(t, s, "order-1", 1, "one")
	wantLatest(t, s, "order-1", 1, "one") // so that wrappers which remember can answer
	ops := operations(t, s)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for _, op := range ops {
		wantError(t, op.name+" after Close", op.call(t.Context(), s, "order-1"), store.ErrClosed)
		wantError(t, op.name+" of an unknown id after Close", op.call(t.Context(), s, "order-2"), store.ErrClosed)
		if op.name == store.OpList {
			wantError(t, "List of every id after Close", op.call(t.Context(), s, ""), store.ErrClosed)
		}
	}
}

func closeDuringCalls(t *testing.T, open Open) {
	for round := range 5 {
		s := open(t, Config{})
		mustSave(t, s, "order-1", 0, "state")
		ops := operations(t, s)
		var started, done sync.WaitGroup
		for range 2 {
			for _, op := range ops {
				started.Add(1)
				done.Go(func() {
					for i := 0; ; i++ {
						err := op.call(t.Context(), s, fmt.Sprintf("order-%d", i%3))
						if i == 0 {
							started.Done()
						}
						if errors.Is(err, store.ErrClosed) {
							return
						}
						if err != nil && !errors.Is(err, store.ErrNotFound) {
							t.Errorf("%s during Close: %v", op.name, err)
							return
						}
					}
				})
			}
		}
		started.Wait()
		for range round + 1 {
			done.Go(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close during calls: %v", err)
				}
			})
		}
		done.Wait()
	}
}

func noGoroutineOutlivesClose(t *testing.T, open Open) {
	before := goleak.IgnoreCurrent()
	s := open(t, Config{Keep: 0})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			id := fmt.Sprintf("order-%d", g%2)
			for nr := range uint64(4) {
				mustSaveConcurrently(t, s, snapshot(id, nr, "state"))
				if _, err := s.LoadLatest(t.Context(), id); err != nil {
					t.Errorf("LoadLatest: %v", err)
				}
			}
			// Large enough for whatever a layer does on the side for large states.
			mustSaveConcurrently(t, s, snapshot(id, 5, string(bytes.Repeat([]byte("state "), 1<<19))))
			if _, err := s.LoadLatest(t.Context(), id); err != nil {
				t.Errorf("LoadLatest: %v", err)
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	goleak.VerifyNone(t, before)
}

// mustSaveConcurrently is mustSave for goroutines, which may not call FailNow.
func mustSaveConcurrently(t *testing.T, s store.SnapshotStore, snap store.Snapshot) {
	t.Helper()
	if err := s.Save(t.Context(), snap); err != nil {
		t.Errorf("Save: %v", err)
	}
}
