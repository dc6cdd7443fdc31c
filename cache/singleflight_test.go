package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestStormIsOneLoad(t *testing.T) {
	for _, exists := range []bool{true, false} {
		for _, c := range []struct {
			name   string
			layers []layer
			loads  int64 // of the inner store, after two storms
		}{
			{"Singleflight", []layer{singleflight}, 2},
			{"Cache over Singleflight", []layer{cacheWith(cache.Options{NegativeTTL: time.Hour}), singleflight}, 1},
		} {
			t.Run(fmt.Sprintf("%s/exists=%v", c.name, exists), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					counter := storetest.NewCounter(slow(newMemory(t, 0), 5*time.Millisecond))
					s := over(t, counter, c.layers...)
					if exists {
						mustSave(t, s, 1)
					}
					for range 2 {
						begun := time.Now()
						var wg sync.WaitGroup
						for i := range 256 {
							ctx := t.Context()
							if i >= 128 {
								ctx = context.WithoutCancel(ctx) // who begins with that loads by himself
							}
							wg.Go(func() {
								if _, err := s.LoadLatest(ctx, "order-1"); exists != (err == nil) || !exists && !errors.Is(err, store.ErrNotFound) {
									t.Errorf("LoadLatest: %v", err)
								}
							})
						}
						wg.Wait()
						if took := time.Since(begun); took > 5*time.Millisecond {
							t.Errorf("the storm took %v; want the 5ms of one load", took)
						}
					}
					if got := counter.Counts().Loads(); got != c.loads {
						t.Errorf("%d loads reached the inner store in two storms of 256; want %d", got, c.loads)
					}
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

func TestStormOfViewsSharesOneState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cache.NewSingleflight(slow(newMemory(t, 0), time.Millisecond))
		mustSave(t, s, 1)
		var mu sync.Mutex
		states := map[*byte]bool{}
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				err := s.ViewLatest(t.Context(), "order-1", func(snap store.Snapshot) error {
					mu.Lock()
					defer mu.Unlock()
					states[&snap.State[0]] = true
					if cap(snap.State) != len(snap.State) {
						t.Errorf("a view was lent %d bytes with room for %d: append writes there", len(snap.State), cap(snap.State))
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(states) != 1 {
			t.Errorf("64 views were lent %d copies of the state; want 1", len(states))
		}
		if stats := s.Stats(); stats != (cache.SingleflightStats{Flights: 1, Shared: 63}) {
			t.Errorf("Stats = %+v; want 1 flight shared by 63", stats)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestSharedLoadsOwnTheirStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := cache.NewSingleflight(slow(newMemory(t, 0), time.Millisecond))
		mustSave(t, s, 1)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				snap, err := s.LoadLatest(t.Context(), "order-1")
				if err != nil || !bytes.Equal(snap.State, []byte("state")) {
					t.Errorf("LoadLatest gave %q, %v", snap.State, err)
				}
				clear(snap.State) // seen by others, and by -race, where states are shared
			})
		}
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestWaiterLeavesAndTheFlightGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counter := storetest.NewCounter(slow(newMemory(t, 0), time.Second))
		s := cache.NewSingleflight(counter)
		mustSave(t, s, 1)
		starter, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		left := make(chan error)
		go func() {
			_, err := s.LoadLatest(starter, "order-1")
			left <- err
		}()
		synctest.Wait()
		stays := make(chan error)
		go func() {
			_, err := s.LoadLatest(t.Context(), "order-1")
			stays <- err
		}()
		begun := time.Now()
		if err := <-left; !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 2*time.Millisecond {
			t.Errorf("the waiter whose context ended got %v after %v; want its context's error at once", err, time.Since(begun))
		}
		if err := <-stays; err != nil {
			t.Errorf("the waiter who stayed got %v", err)
		}
		if got := counter.Counts().Loads(); got != 1 {
			t.Errorf("%d loads reached the inner store; want 1", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFlightIsCancelledWhenNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cancelled atomic.Bool
		inner := &blocking{SnapshotStore: newMemory(t, 0), onEnd: func() { cancelled.Store(true) }}
		s := cache.NewSingleflight(inner)
		mustSave(t, s, 1)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
				defer cancel()
				if _, err := s.LoadLatest(ctx, "order-1"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("LoadLatest: %v; want DeadlineExceeded", err)
				}
			})
		}
		time.Sleep(2500 * time.Millisecond) // of the bubble's time: two have left
		if cancelled.Load() {
			t.Error("the flight was cancelled while somebody waited")
		}
		wg.Wait()
		// The flight is on its way down. A newcomer gets one of its own.
		inner.pass.Store(true)
		if _, err := s.LoadLatest(t.Context(), "order-1"); err != nil {
			t.Errorf("LoadLatest after a cancelled flight: %v", err)
		}
		synctest.Wait()
		if !cancelled.Load() {
			t.Error("the flight went on although nobody waited")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A flight that began before a write lands after it, when the flight that may be
// joined is another one.
func TestFlightFromBeforeAWriteLeavesTheNextAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t)
		counter := storetest.NewCounter(st)
		s := cache.NewSingleflight(counter)
		mustSave(t, s, 1)
		first := st.stopAfter(store.OpLoadLatest)
		a := loadInBackground(t, s)
		mustSave(t, s, 2)
		second := st.stopAfter(store.OpLoadLatest)
		b := loadInBackground(t, s)
		close(first)
		if got := <-a; got != 1 {
			t.Errorf("the load from before the Save gave number %d; want 1", got)
		}
		c := loadInBackground(t, s)
		close(second)
		if b, c := <-b, <-c; b != 2 || c != 2 {
			t.Errorf("the loads from after the Save gave numbers %d and %d; want 2", b, c)
		}
		if got := counter.Counts().Loads(); got != 2 {
			t.Errorf("%d loads reached the inner store; want one from before the Save and one from after it", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCancelledFlightIsNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t)
		s := cache.NewSingleflight(st)
		mustSave(t, s, 1)
		release := st.stopBefore(store.OpLoadLatest) // does not see that it is cancelled
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := s.LoadLatest(ctx, "order-1")
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the only waiter got %v; want its context's error", err)
		}
		newcomer := loadInBackground(t, s)
		select {
		case got := <-newcomer:
			if got != 1 {
				t.Errorf("the newcomer's load gave number %d; want 1", got)
			}
		default:
			t.Error("the newcomer waits for a flight that was cancelled")
		}
		close(release)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Close waits also for a flight that nobody waits for any more.
func TestCloseWaitsForFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(t)
		s := cache.NewSingleflight(st)
		release := st.stopBefore(store.OpLoadLatest) // whatever the context
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := s.LoadLatest(ctx, "order-1")
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the only waiter got %v; want its context's error", err)
		}
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while a flight was in the inner store")
		default:
		}
		close(release)
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// blocking is a store whose loads wait for the end of their context.
type blocking struct {
	store.SnapshotStore
	pass  atomic.Bool
	onEnd func()
}

func (b *blocking) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	if b.pass.Load() {
		return b.SnapshotStore.LoadLatest(ctx, id)
	}
	<-ctx.Done()
	b.onEnd()
	return store.Snapshot{}, ctx.Err()
}

func TestFlightKeepsTheValuesOfItsStartersContext(t *testing.T) {
	type key struct{}
	var seen any
	inner := &watching{SnapshotStore: newMemory(t, 0), watch: func(ctx context.Context) { seen = ctx.Value(key{}) }}
	s := cache.NewSingleflight(inner)
	mustSave(t, s, 1)
	if _, err := s.LoadLatest(context.WithValue(t.Context(), key{}, "trace"), "order-1"); err != nil || seen != "trace" {
		t.Errorf("the flight's context has the value %v, %v; want that of its starter's", seen, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

type watching struct {
	store.SnapshotStore
	watch func(context.Context)
}

func (w *watching) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	w.watch(ctx)
	return w.SnapshotStore.LoadLatest(ctx, id)
}

func TestPanicReachesEveryWaiter(t *testing.T) {
	failure := errors.New("inner store broke")
	for name, c := range map[string]struct {
		end  func()
		says func(recovered any) bool
	}{
		"panic": {func() { panic(failure) }, func(r any) bool {
			err, ok := r.(error)
			return ok && errors.Is(err, failure) && strings.Contains(err.Error(), "singleflight_test.go")
		}},
		"Goexit": {runtime.Goexit, func(r any) bool { return r == nil }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Bool
				inner := &watching{SnapshotStore: newMemory(t, 0), watch: func(context.Context) {
					if broken.Load() {
						time.Sleep(time.Second) // of the bubble's time, so that all join
						c.end()
					}
				}}
				s := cache.NewSingleflight(inner)
				mustSave(t, s, 1)
				broken.Store(true)
				var ended atomic.Int64
				var wg sync.WaitGroup
				for i := range 8 {
					ctx := t.Context()
					if i >= 4 {
						ctx = context.WithoutCancel(ctx)
					}
					wg.Go(func() {
						returned := false
						defer func() {
							if r := recover(); returned || !c.says(r) {
								t.Errorf("a waiter got %v, returned: %v", r, returned)
							}
							ended.Add(1)
						}()
						_, _ = s.LoadLatest(ctx, "order-1")
						returned = true
					})
				}
				wg.Wait()
				if ended.Load() != 8 {
					t.Errorf("%d waiters ended; want 8", ended.Load())
				}
				broken.Store(false)
				if _, err := s.LoadLatest(t.Context(), "order-1"); err != nil { // nothing is wedged
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A caller whose context can't end loads in its own goroutine, and others may join.
func TestFlightOfACallerWhoCannotLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endless := context.WithoutCancel(t.Context())
		var here atomic.Bool
		inner := &watching{SnapshotStore: newMemory(t, 0)}
		inner.watch = func(context.Context) {
			stack := make([]byte, 10_000)
			here.Store(strings.Contains(string(stack[:runtime.Stack(stack, false)]), "TestFlightOfACallerWhoCannotLeave"))
			time.Sleep(time.Second)
		}
		counter := storetest.NewCounter(inner)
		s := cache.NewSingleflight(counter)
		mustSave(t, s, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			impatient, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			time.Sleep(time.Second / 4)
			if _, err := s.LoadLatest(impatient, "order-1"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a waiter whose context ended: %v", err)
			}
			if _, err := s.LoadLatest(t.Context(), "order-1"); err != nil {
				t.Error(err)
			}
		})
		if _, err := s.LoadLatest(endless, "order-1"); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if got := counter.Counts().Loads(); got != 1 || !here.Load() {
			t.Errorf("%d loads, in the goroutine of the caller: %v; want one, there", got, here.Load())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestErrorsAreSharedAndNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Bool
		failure := errors.New("wire cut")
		s := cache.NewSingleflight(storetest.NewFaults(slow(newMemory(t, 0), time.Second), storetest.FaultOptions{After: func(op, _ string) error {
			if failing.Load() && op == store.OpLoadLatest {
				return failure
			}
			return nil
		}}))
		mustSave(t, s, 1)
		failing.Store(true)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := s.LoadLatest(t.Context(), "order-1"); !errors.Is(err, failure) {
					t.Errorf("LoadLatest: %v; want the failure", err)
				}
			})
		}
		wg.Wait()
		failing.Store(false)
		if _, err := s.LoadLatest(t.Context(), "order-1"); err != nil {
			t.Errorf("LoadLatest after a failed flight: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNewSingleflightOverNilPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("NewSingleflight over nil returned")
		}
	}()
	cache.NewSingleflight(nil)
}
