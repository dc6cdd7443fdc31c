package workload_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

var quick = workload.Options{States: smallStates(), IDs: 5, Reads: 0.5, Duration: 20 * time.Millisecond, Rounds: 2, Concurrency: 4, Seed: 1}

// Each of these stores breaks the contract in one way now and then; the run must
// see it and count it as what it is.
func TestRunSeesBadReads(t *testing.T) {
	for _, c := range []struct {
		name    string
		breakIt func(s *stub)
		stale   bool // the only kind of bad read there may be; else wrong
		problem string
	}{
		{"StaleSnapshot", func(s *stub) {
			now := every(7)
			s.load = func(ctx context.Context, id string) (store.Snapshot, error) {
				snap, err := s.inner.LoadLatest(ctx, id)
				if err != nil || !now() || snap.SequenceNr == 1 {
					return snap, err
				}
				return s.inner.LoadBefore(ctx, id, snap.SequenceNr)
			}
		}, true, "was saved before the load began"},
		{"LostUpdate", func(s *stub) {
			now := every(7)
			s.save = func(ctx context.Context, snap store.Snapshot) error {
				if now() {
					return nil
				}
				return s.inner.Save(ctx, snap)
			}
		}, true, "was saved before the load began"},
		{"CacheThatIsNeverInvalidated", func(s *stub) {
			var cached sync.Map
			s.load = func(ctx context.Context, id string) (store.Snapshot, error) {
				if snap, ok := cached.Load(id); ok {
					return snap.(store.Snapshot), nil
				}
				snap, err := s.inner.LoadLatest(ctx, id)
				if err == nil {
					cached.Store(id, snap)
				}
				return snap, err
			}
		}, true, "was saved before the load began"},
		{"Nothing", func(s *stub) {
			now := every(7)
			s.load = func(ctx context.Context, id string) (store.Snapshot, error) {
				if now() {
					return store.Snapshot{}, store.Wrap(store.OpLoadLatest, id, 0, store.ErrNotFound)
				}
				return s.inner.LoadLatest(ctx, id)
			}
		}, true, "found nothing, but number"},
		{"FlippedByte", changed(func(snap *store.Snapshot) { snap.State[len(snap.State)-1] ^= 1 }), false, "bytes that first differ at byte"},
		{"MissingByte", changed(func(snap *store.Snapshot) { snap.State = snap.State[:len(snap.State)-1] }), false, "bytes that first differ at byte"},
		{"AddedByte", changed(func(snap *store.Snapshot) { snap.State = append(snap.State, 0) }), false, "bytes that first differ at byte"},
		{"StateOfAnotherNumber", func(s *stub) {
			now := every(7)
			s.load = func(ctx context.Context, id string) (store.Snapshot, error) {
				snap, err := s.inner.LoadLatest(ctx, id)
				if err != nil || !now() || snap.SequenceNr == 1 {
					return snap, err
				}
				older, err := s.inner.LoadBefore(ctx, id, snap.SequenceNr)
				older.SequenceNr = snap.SequenceNr
				return older, err
			}
		}, false, "bytes that first differ at byte"},
		{"NumberNeverSaved", changed(func(snap *store.Snapshot) { snap.SequenceNr += 1 << 40 }), false, "but the highest ever saved was"},
		{"AnotherID", changed(func(snap *store.Snapshot) { snap.PersistenceID += "x" }), false, "gave a snapshot of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &stub{inner: newMemory(t)}
			c.breakIt(s)
			r := run(t, t.Context(), quick, target("broken", s), target("intact", newMemory(t)))
			broken := r[0]
			seen, other := broken.Stale, broken.Wrong
			if !c.stale {
				seen, other = other, seen
			}
			if seen == 0 || other != 0 {
				t.Fatalf("%d stale and %d wrong reads; want some that are stale: %t, and no others", broken.Stale, broken.Wrong, c.stale)
			}
			first := broken.FirstBad
			if first == nil || first.Stale != c.stale || !strings.Contains(first.Problem, c.problem) || !strings.HasPrefix(first.PersistenceID, "snapstack-bench-1-") {
				t.Errorf("the first bad read is %+v; want one of the first store that says %q", first, c.problem)
			}
			if broken.Errors != 0 || broken.EndErr != nil {
				t.Errorf("%d errors, EndErr %v; want none", broken.Errors, broken.EndErr)
			}
			wantClean(t, r[1])
		})
	}
}

// changed returns what makes a store change every seventh snapshot that it loads.
func changed(change func(snap *store.Snapshot)) func(s *stub) {
	return func(s *stub) {
		now := every(7)
		s.load = func(ctx context.Context, id string) (store.Snapshot, error) {
			snap, err := s.inner.LoadLatest(ctx, id)
			if err == nil && now() {
				change(&snap)
			}
			return snap, err
		}
	}
}

// A run without loads can only see a lost update in its last reads.
func TestLastReadsSeeALostUpdate(t *testing.T) {
	s := &stub{inner: newMemory(t)}
	s.save = func(ctx context.Context, snap store.Snapshot) error {
		if snap.SequenceNr > 1 {
			return nil
		}
		return s.inner.Save(ctx, snap)
	}
	opts := quick
	opts.Reads, opts.IDs = -1, 1
	if r := run(t, t.Context(), opts, target("forgetful", s))[0]; r.Stale != 1 || r.Wrong != 0 || r.Loads.TotalCount() != 0 {
		t.Errorf("%d stale and %d wrong reads, %d loads measured; want the last read to be stale", r.Stale, r.Wrong, r.Loads.TotalCount())
	}
}

func TestBadReadNamesEntityAndNumbers(t *testing.T) {
	s := &stub{inner: newMemory(t)}
	s.load = func(ctx context.Context, id string) (store.Snapshot, error) { return s.inner.LoadBefore(ctx, id, 2) }
	opts := quick
	opts.IDs, opts.Concurrency = 1, 1
	first := run(t, t.Context(), opts, target("stale", s))[0].FirstBad
	if first == nil {
		t.Fatal("no bad read was seen")
	}
	want := fmt.Sprintf(`load latest of "snapstack-bench-1-0" gave number 1, but number %d was saved before the load began`, first.Acknowledged)
	if first.String() != want || first.SequenceNr != 1 || first.Acknowledged < 2 || first.Attempted != first.Acknowledged {
		t.Errorf("%+v reads\n%q; want\n%q", first, first, want)
	}
}

// A save that failed may have taken effect or not. Neither is a bad read.
func TestUnknownOutcomeOfASaveIsNoBadRead(t *testing.T) {
	boom := errors.New("boom")
	failing := func() func(op, id string) error {
		now := every(3)
		return func(op, _ string) error {
			if op == store.OpSave && now() {
				return boom
			}
			return nil
		}
	}
	for _, c := range []struct {
		name string
		opts func(fail func(op, id string) error) storetest.FaultOptions
	}{
		{"NotSaved", func(fail func(op, id string) error) storetest.FaultOptions {
			return storetest.FaultOptions{Before: fail}
		}},
		{"Saved", func(fail func(op, id string) error) storetest.FaultOptions {
			return storetest.FaultOptions{After: fail}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := quick
			opts.IDs = 2 // saved once each before the first of every three saves fails
			r := run(t, t.Context(), opts, target("failing", storetest.NewFaults(newMemory(t), c.opts(failing()))))[0]
			if r.Err != nil || r.Errors == 0 || !errors.Is(r.FirstErr, boom) {
				t.Errorf("Err %v, %d errors, the first %v; want some, the first being %v", r.Err, r.Errors, r.FirstErr, boom)
			}
			if r.Stale != 0 || r.Wrong != 0 {
				t.Errorf("%d stale and %d wrong reads, the first: %v; want none", r.Stale, r.Wrong, r.FirstBad)
			}
			if r.Loads.TotalCount() == 0 || r.Saves.TotalCount() == 0 {
				t.Error("nothing was measured")
			}
		})
	}
}
