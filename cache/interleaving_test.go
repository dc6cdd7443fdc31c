package cache_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/snapstack/snapstack/store"
)

// An interleaving plays calls in one order on s, which stands over st, and returns
// the number that a load gave and the one it must give; 0 stands for ErrNotFound.
type interleaving func(t *testing.T, s store.SnapshotStore, st *stage) (got, want uint64)

// interleavings hold for every stack. Each is named with the naive wrappers that it
// exposes.
var interleavings = map[string]struct {
	exposes []string
	play    interleaving
}{
	"a load overtaken by a Save does not fill the cache": {
		exposes: []string{"cache", "cache that drops after any error"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s) // has read 1
			mustSave(t, s, 2)
			close(read)
			<-a
			return load(t, s), 2
		},
	},

	"a load overtaken by a Delete does not fill the cache": {
		exposes: []string{"cache", "cache that drops after any error"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			if err := s.Delete(t.Context(), "order-1", 1); err != nil {
				t.Fatal(err)
			}
			close(read)
			<-a
			return load(t, s), 0
		},
	},

	"a load that found nothing and was overtaken by a Save does not fill the cache": {
		exposes: []string{"cache", "cache that drops after any error"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			mustSave(t, s, 1)
			close(read)
			<-a
			return load(t, s), 1
		},
	},

	"a load that began during a Save and ended after it does not fill the cache": {
		exposes: []string{"cache", "cache that drops after any error"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			effect := st.stopBefore(store.OpSave)
			saved := saveInBackground(t, s, 2)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			close(effect)
			<-saved
			close(read)
			<-a
			return load(t, s), 2
		},
	},

	"a load that began and ended during a Save does not fill the cache": {
		exposes: []string{"cache", "cache that drops after any error", "cache with generations", "cache with generations before and after"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			effect, done := st.stopBefore(store.OpSave), st.stopAfter(store.OpSave)
			saved := saveInBackground(t, s, 2)
			<-loadInBackground(t, s)
			close(effect)
			synctest.Wait()
			seen := loadBefore(t, s)
			got := load(t, s)
			close(done)
			<-saved
			return got, seen
		},
	},

	"a load overtaken by a Save in flight, whose effect others can see, does not fill the cache": {
		exposes: []string{"cache", "cache that drops after any error", "cache with generations"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			done := st.stopAfter(store.OpSave)
			saved := saveInBackground(t, s, 2)
			close(read)
			<-a
			seen := loadBefore(t, s)
			got := load(t, s)
			close(done)
			<-saved
			return got, seen
		},
	},

	"no hit while a Save is in flight, whose effect others can see": {
		exposes: []string{"cache", "cache that drops after any error", "cache with generations"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			load(t, s)
			done := st.stopAfter(store.OpSave)
			saved := saveInBackground(t, s, 2)
			seen := loadBefore(t, s)
			got := load(t, s)
			close(done)
			<-saved
			return got, seen
		},
	},

	"a Save that failed after it took effect drops the entry": {
		exposes: []string{"cache"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			load(t, s)
			st.after(store.OpSave, func() error { return context.DeadlineExceeded })
			if err := save(t, s, 2); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			return load(t, s), 2
		},
	},

	"a Save that panicked after it took effect drops the entry": {
		exposes: []string{"cache", "cache that drops after any error", "cache with generations"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			load(t, s)
			st.after(store.OpSave, func() error { panic("inner") })
			func() {
				defer func() {
					if r := recover(); r != "inner" {
						t.Errorf("recovered %v; want the panic of the inner store", r)
					}
				}()
				t.Errorf("Save returned %v", save(t, s, 2))
			}()
			return load(t, s), 2
		},
	},

	"a flight that began before a finished Save is not joined": {
		exposes: []string{"singleflight"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			mustSave(t, s, 2)
			b := loadInBackground(t, s)
			close(read)
			<-a
			return <-b, 2
		},
	},

	"a flight that began before a Save in flight, whose effect others can see, is not joined": {
		exposes: []string{"singleflight", "singleflight that forgets after"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			done := st.stopAfter(store.OpSave)
			saved := saveInBackground(t, s, 2)
			seen := loadBefore(t, s)
			b := loadInBackground(t, s)
			close(read)
			<-a
			got := <-b
			close(done)
			<-saved
			return got, seen
		},
	},

	"a flight that began during a Save, whose effect others can see, is not joined": {
		exposes: []string{"singleflight", "singleflight that forgets after", "singleflight that forgets before and after"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			effect, done := st.stopBefore(store.OpSave), st.stopAfter(store.OpSave)
			saved := saveInBackground(t, s, 2)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			close(effect)
			synctest.Wait()
			seen := loadBefore(t, s)
			b := loadInBackground(t, s)
			close(read)
			<-a
			got := <-b
			close(done)
			<-saved
			return got, seen
		},
	},

	"a load overtaken by Invalidate does not fill the cache": {
		exposes: []string{"cache", "cache that drops after any error"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			mustSave(t, st, 2) // another process, as far as s knows
			outermost(t, s).Invalidate("order-1")
			close(read)
			<-a
			return load(t, s), 2
		},
	},

	"a load overtaken by Purge does not fill the cache": {
		exposes: []string{"cache", "cache that drops after any error", "cache with generations"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			mustSave(t, st, 2)
			outermost(t, s).Purge()
			close(read)
			<-a
			return load(t, s), 2
		},
	},

	"a flight overtaken by Invalidate is not joined": {
		exposes: []string{"singleflight"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			mustSave(t, st, 2)
			outermost(t, s).Invalidate("order-1")
			b := loadInBackground(t, s)
			close(read)
			<-a
			return min(<-b, load(t, s)), 2 // b may have filled a cache above
		},
	},

	"a flight overtaken by Purge is not joined": {
		exposes: []string{"singleflight"},
		play: func(t *testing.T, s store.SnapshotStore, st *stage) (uint64, uint64) {
			mustSave(t, s, 1)
			read := st.stopAfter(store.OpLoadLatest)
			a := loadInBackground(t, s)
			mustSave(t, st, 2)
			outermost(t, s).Purge()
			b := loadInBackground(t, s)
			close(read)
			<-a
			return min(<-b, load(t, s)), 2
		},
	},
}

func TestInterleavings(t *testing.T) {
	for name, i := range interleavings {
		play := func(t *testing.T, layers ...layer) (got, want uint64) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(t)
				s := over(t, st, layers...)
				got, want = i.play(t, s, st)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return got, want
		}
		t.Run(name, func(t *testing.T) {
			for stack, layers := range consistentStacks {
				t.Run(stack, func(t *testing.T) {
					if got, want := play(t, layers...); got != want {
						t.Errorf("a load gave number %d; want %d", got, want)
					}
				})
			}
			for _, kind := range i.exposes {
				t.Run("exposes the naive "+kind, func(t *testing.T) {
					if got, want := play(t, naive[kind]); got == want {
						t.Errorf("a load through the naive %s gave number %d, as it should: the check can't fail", kind, got)
					}
				})
			}
		})
	}
}

// A stage is a hooked store whose calls stop or fail where an interleaving needs
// them to.
type stage struct {
	store.SnapshotStore

	mu    sync.Mutex
	hooks map[hookPoint]func() error // each for one call
}

// A hookPoint is before or after the effect of an operation.
type hookPoint struct {
	op    string
	after bool
}

func newStage(t *testing.T) *stage {
	st := &stage{hooks: map[hookPoint]func() error{}}
	st.SnapshotStore = &hooked{
		inner:  newMemory(t, 0),
		before: func(_ context.Context, op string) error { return st.pass(hookPoint{op: op}) },
		after:  func(_ context.Context, op string) error { return st.pass(hookPoint{op: op, after: true}) },
	}
	return st
}

// stopBefore stops the next call of op before it takes effect, until the channel
// that it returns is closed.
func (st *stage) stopBefore(op string) chan struct{} { return st.stop(hookPoint{op: op}) }

// stopAfter is stopBefore after the effect.
func (st *stage) stopAfter(op string) chan struct{} { return st.stop(hookPoint{op: op, after: true}) }

// after calls hook when the next call of op has taken effect.
func (st *stage) after(op string, hook func() error) { st.set(hookPoint{op: op, after: true}, hook) }

func (st *stage) stop(at hookPoint) chan struct{} {
	stop := make(chan struct{})
	st.set(at, func() error {
		<-stop
		return nil
	})
	return stop
}

func (st *stage) set(at hookPoint, hook func() error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.hooks[at] = hook
}

func (st *stage) pass(at hookPoint) error {
	st.mu.Lock()
	hook := st.hooks[at]
	delete(st.hooks, at)
	st.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook()
}

type invalidator interface {
	Invalidate(persistenceID string)
	Purge()
}

func outermost(t *testing.T, s store.SnapshotStore) invalidator {
	t.Helper()
	layer, ok := store.As[invalidator](s)
	if !ok {
		t.Fatal("no layer can be told of another process's write")
	}
	return layer
}

func save(t *testing.T, s store.SnapshotStore, nr uint64) error {
	return s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: nr, State: []byte("state")})
}

func mustSave(t *testing.T, s store.SnapshotStore, nr uint64) {
	t.Helper()
	if err := save(t, s, nr); err != nil {
		t.Fatal(err)
	}
}

// saveInBackground returns when the Save has got as far as it can. The channel is
// closed when it has returned.
func saveInBackground(t *testing.T, s store.SnapshotStore, nr uint64) <-chan struct{} {
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		if err := save(t, s, nr); err != nil {
			t.Error(err)
		}
	}()
	synctest.Wait()
	return saved
}

// load returns the latest number, 0 for ErrNotFound.
func load(t *testing.T, s store.SnapshotStore) uint64 {
	snap, err := s.LoadLatest(t.Context(), "order-1")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	return snap.SequenceNr
}

func loadBefore(t *testing.T, s store.SnapshotStore) uint64 {
	snap, err := s.LoadBefore(t.Context(), "order-1", math.MaxUint64)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	return snap.SequenceNr
}

// loadInBackground returns when the load has got as far as it can.
func loadInBackground(t *testing.T, s store.SnapshotStore) <-chan uint64 {
	result := make(chan uint64, 1)
	go func() { result <- load(t, s) }()
	synctest.Wait()
	return result
}
