package storetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

func openMemory(t *testing.T, c Config) store.SnapshotStore {
	t.Helper()
	s, err := memory.New(memory.Options{Keep: c.Keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInjectorsConform(t *testing.T) {
	t.Run("Faults", func(t *testing.T) {
		Run(t, func(t *testing.T, c Config) store.SnapshotStore { return NewFaults(openMemory(t, c), FaultOptions{}) })
	})
	t.Run("Latency", func(t *testing.T) {
		Run(t, func(t *testing.T, c Config) store.SnapshotStore {
			return NewLatency(openMemory(t, c), LatencyOptions{
				Before: func(string, string) time.Duration { return time.Microsecond },
				After:  func(string, string) time.Duration { return time.Microsecond },
			})
		})
	})
	t.Run("Counter", func(t *testing.T) {
		Run(t, func(t *testing.T, c Config) store.SnapshotStore { return NewCounter(openMemory(t, c)) })
	})
}

// TestSuiteCatchesDefects runs the suite on stores that break one clause each, in
// a process of its own, and expects the clause's subtest to fail there.
func TestSuiteCatchesDefects(t *testing.T) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDefectiveStore$/^"+d.clause+"$", "-test.v", "-rapid.nofailfile")
			cmd.Env = append(os.Environ(), "STORETEST_DEFECT="+d.name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !bytes.Contains(out, []byte("--- FAIL: TestDefectiveStore/"+d.clause)) {
				t.Errorf("%s passed on a store with the defect %q: %v\n%s", d.clause, d.name, err, out)
			}
		})
	}
}

// TestDefectiveStore is run by TestSuiteCatchesDefects alone.
func TestDefectiveStore(t *testing.T) {
	name := os.Getenv("STORETEST_DEFECT")
	if name == "" {
		t.Skip("meant for the child processes of TestSuiteCatchesDefects")
	}
	for _, d := range defects {
		if d.name == name {
			Run(t, func(t *testing.T, c Config) store.SnapshotStore { return d.open(t, c) })
			return
		}
	}
	t.Fatalf("no defect %q", name)
}

// A defect is a store that breaks one clause.
type defect struct {
	name, clause string
	open         func(t *testing.T, c Config) store.SnapshotStore
}

// breaking returns an open for a memory store of which f replaces some methods.
func breaking(f func(b *broken)) func(*testing.T, Config) store.SnapshotStore {
	return func(t *testing.T, c Config) store.SnapshotStore {
		b := &broken{inner: openMemory(t, c)}
		f(b)
		return b
	}
}

var defects = []defect{
	{"absence is a zero snapshot and nil", "NothingFoundIsErrNotFound", breaking(func(b *broken) {
		b.loadLatest = func(ctx context.Context, id string) (store.Snapshot, error) {
			snap, err := b.inner.LoadLatest(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				return store.Snapshot{}, nil
			}
			return snap, err
		}
	})},
	{"the last save is the latest", "LatestIsTheHighestNumber", breaking(func(b *broken) {
		last := map[string]uint64{}
		b.save = func(ctx context.Context, snap store.Snapshot) error {
			last[snap.PersistenceID] = snap.SequenceNr
			return b.inner.Save(ctx, snap)
		}
		b.loadLatest = func(ctx context.Context, id string) (store.Snapshot, error) {
			return b.inner.LoadBefore(ctx, id, last[id]+1)
		}
	})},
	{"LoadBefore includes its bound", "LoadBeforeIsExclusive", breaking(func(b *broken) {
		b.loadBefore = func(ctx context.Context, id string, nr uint64) (store.Snapshot, error) {
			return b.inner.LoadBefore(ctx, id, max(nr, nr+1))
		}
	})},
	{"Delete spares its bound", "DeleteIsInclusive", breaking(func(b *broken) {
		b.delete = func(ctx context.Context, id string, to uint64) error {
			if to == 0 {
				return nil
			}
			return b.inner.Delete(ctx, id, to-1)
		}
	})},
	{"ids are folded", "HostileIDsNeverMeet", breaking(func(b *broken) {
		b.fold = strings.ToLower
	})},
	{"ids are cut", "IDsOfEveryLength", breaking(func(b *broken) {
		b.fold = func(id string) string { return id[:min(len(id), 255)] }
	})},
	{"Save keeps the caller's bytes", "SaveKeepsNoReference", breaking(func(b *broken) {
		kept := map[string][]byte{}
		b.save = func(ctx context.Context, snap store.Snapshot) error {
			kept[snap.PersistenceID] = snap.State
			return b.inner.Save(ctx, snap)
		}
		b.loadLatest = func(ctx context.Context, id string) (store.Snapshot, error) {
			snap, err := b.inner.LoadLatest(ctx, id)
			snap.State = bytes.Clone(kept[id])
			return snap, err
		}
	})},
	{"loads share their bytes", "LoadedStateBelongsToTheCaller", breaking(func(b *broken) {
		shared := map[string]store.Snapshot{}
		b.save = func(ctx context.Context, snap store.Snapshot) error {
			delete(shared, snap.PersistenceID)
			return b.inner.Save(ctx, snap)
		}
		b.loadLatest = func(ctx context.Context, id string) (store.Snapshot, error) {
			if snap, hit := shared[id]; hit {
				return snap, nil
			}
			snap, err := b.inner.LoadLatest(ctx, id)
			if err == nil {
				shared[id] = snap
			}
			return snap, err
		}
	})},
	{"timestamps are rounded", "TimestampsAreUTCMilliseconds", breaking(func(b *broken) {
		b.save = func(ctx context.Context, snap store.Snapshot) error {
			snap.Timestamp = snap.Timestamp.Round(time.Millisecond)
			return b.inner.Save(ctx, snap)
		}
	})},
	{"numbers pass through float64", "SequenceNumbersToMaxInt64", breaking(func(b *broken) {
		b.save = func(ctx context.Context, snap store.Snapshot) error {
			if snap.SequenceNr < 1<<62 {
				snap.SequenceNr = uint64(float64(snap.SequenceNr))
			}
			return b.inner.Save(ctx, snap)
		}
	})},
	{"a save below the kept ones is pruned", "KeepOutOfOrder", breaking(func(b *broken) {
		b.save = func(ctx context.Context, snap store.Snapshot) error {
			if err := b.inner.Save(ctx, snap); err != nil {
				return err
			}
			latest, err := b.inner.LoadLatest(ctx, snap.PersistenceID)
			if err != nil {
				return err
			}
			second, err := b.inner.LoadBefore(ctx, snap.PersistenceID, latest.SequenceNr)
			if err != nil || second.SequenceNr == 0 {
				return nil
			}
			return b.inner.Delete(ctx, snap.PersistenceID, second.SequenceNr-1)
		}
	})},
	{"an ended context is not looked at", "EndedContextDoesNothing", breaking(func(b *broken) {
		b.save = func(ctx context.Context, snap store.Snapshot) error {
			return b.inner.Save(context.WithoutCancel(ctx), snap)
		}
	})},
	{"errors are bare", "ErrorsNameTheEntity", breaking(func(b *broken) {
		b.loadLatest = func(ctx context.Context, id string) (store.Snapshot, error) {
			snap, err := b.inner.LoadLatest(ctx, id)
			if errors.Is(err, store.ErrNotFound) {
				err = store.ErrNotFound
			}
			return snap, err
		}
	})},
	{"loads are answered after Close", "UseAfterCloseIsErrClosed", breaking(func(b *broken) {
		remembered := map[string]store.Snapshot{}
		b.loadLatest = func(ctx context.Context, id string) (store.Snapshot, error) {
			snap, err := b.inner.LoadLatest(ctx, id)
			if err == nil {
				remembered[id] = snap
			}
			if snap, ok := remembered[id]; ok && errors.Is(err, store.ErrClosed) {
				return snap, nil
			}
			return snap, err
		}
	})},
	{"Close fails the second time", "CloseIsIdempotent", breaking(func(b *broken) {
		b.close = func() error {
			if b.closed {
				return store.ErrClosed
			}
			b.closed = true
			return b.inner.Close()
		}
	})},
	{"a goroutine stays", "NoGoroutineOutlivesClose", breaking(func(b *broken) {
		go func() { select {} }()
	})},
	{"the answer of a stale load is kept", "Linearizable", staleFill},
	{"the first save of a number stays", "StateMachine", breaking(func(b *broken) {
		b.save = func(ctx context.Context, snap store.Snapshot) error {
			if stored, err := b.inner.LoadBefore(ctx, snap.PersistenceID, snap.SequenceNr+1); err == nil && stored.SequenceNr == snap.SequenceNr {
				return nil
			}
			return b.inner.Save(ctx, snap)
		}
	})},
}

// staleFill is the cache that others ship: it drops an entry after a write, but a
// load that was overtaken by the write puts the old one back.
func staleFill(t *testing.T, c Config) store.SnapshotStore {
	b := &broken{inner: NewLatency(openMemory(t, c), LatencyOptions{
		After: func(op, _ string) time.Duration {
			if op == store.OpLoadLatest {
				return 200 * time.Microsecond
			}
			return 0
		},
	})}
	var mu sync.Mutex
	kept := map[string]store.Snapshot{}
	drop := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		delete(kept, id)
	}
	b.save = func(ctx context.Context, snap store.Snapshot) error {
		defer drop(snap.PersistenceID)
		return b.inner.Save(ctx, snap)
	}
	b.delete = func(ctx context.Context, id string, to uint64) error {
		defer drop(id)
		return b.inner.Delete(ctx, id, to)
	}
	b.loadLatest = func(ctx context.Context, id string) (store.Snapshot, error) {
		mu.Lock()
		snap, hit := kept[id]
		mu.Unlock()
		if hit {
			snap.State = bytes.Clone(snap.State)
			return snap, nil
		}
		snap, err := b.inner.LoadLatest(ctx, id)
		if err == nil {
			mu.Lock()
			kept[id] = snap
			mu.Unlock()
			snap.State = bytes.Clone(snap.State)
		}
		return snap, err
	}
	return b
}

// broken is a store whose methods are replaced one by one; those that are not pass
// through to inner. It has no Unwrap, so that no clause sees past it.
type broken struct {
	inner      store.SnapshotStore
	save       func(context.Context, store.Snapshot) error
	loadLatest func(context.Context, string) (store.Snapshot, error)
	loadBefore func(context.Context, string, uint64) (store.Snapshot, error)
	delete     func(context.Context, string, uint64) error
	close      func() error
	fold       func(string) string // of ids, in loads as in saves
	closed     bool
}

var _ store.SnapshotStore = (*broken)(nil)

func (b *broken) Save(ctx context.Context, snap store.Snapshot) error {
	if b.fold != nil {
		snap.PersistenceID = b.fold(snap.PersistenceID)
	}
	if b.save != nil {
		return b.save(ctx, snap)
	}
	return b.inner.Save(ctx, snap)
}

func (b *broken) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	if b.fold != nil {
		snap, err := b.inner.LoadLatest(ctx, b.fold(id))
		snap.PersistenceID = id
		return snap, err
	}
	if b.loadLatest != nil {
		return b.loadLatest(ctx, id)
	}
	return b.inner.LoadLatest(ctx, id)
}

func (b *broken) LoadBefore(ctx context.Context, id string, nr uint64) (store.Snapshot, error) {
	if b.fold != nil {
		snap, err := b.inner.LoadBefore(ctx, b.fold(id), nr)
		snap.PersistenceID = id
		return snap, err
	}
	if b.loadBefore != nil {
		return b.loadBefore(ctx, id, nr)
	}
	return b.inner.LoadBefore(ctx, id, nr)
}

func (b *broken) Delete(ctx context.Context, id string, to uint64) error {
	if b.fold != nil {
		id = b.fold(id)
	}
	if b.delete != nil {
		return b.delete(ctx, id, to)
	}
	return b.inner.Delete(ctx, id, to)
}

func (b *broken) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.inner.Close()
}
