package compress_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestDeltaConformance(t *testing.T) {
	layer := func(t *testing.T, s store.SnapshotStore, err error) store.SnapshotStore {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	mem := func(t *testing.T) store.SnapshotStore {
		s, err := memory.New(memory.Options{})
		return layer(t, s, err)
	}
	// Every state of the suite is a base or a difference from one.
	delta := func(t *testing.T, inner store.SnapshotStore, keep int) store.SnapshotStore {
		s, err := compress.NewDelta(inner, compress.DeltaOptions{MinBytes: -1, MaxShare: 1, MaxDeltas: 3, Keep: keep})
		return layer(t, s, err)
	}
	zstd := func(t *testing.T, inner store.SnapshotStore) store.SnapshotStore {
		s, err := compress.New(inner, compress.Options{MinBytes: -1})
		return layer(t, s, err)
	}
	cached := func(t *testing.T, inner store.SnapshotStore) store.SnapshotStore {
		s, err := cache.New(cache.NewSingleflight(inner), cache.Options{})
		return layer(t, s, err)
	}
	for name, open := range map[string]func(t *testing.T, keep int) store.SnapshotStore{
		"delta":                func(t *testing.T, keep int) store.SnapshotStore { return delta(t, mem(t), keep) },
		"cache | delta | zstd": func(t *testing.T, keep int) store.SnapshotStore { return cached(t, delta(t, zstd(t, mem(t)), keep)) },
		"zstd | delta":         func(t *testing.T, keep int) store.SnapshotStore { return zstd(t, delta(t, mem(t), keep)) },
		"delta | cache":        func(t *testing.T, keep int) store.SnapshotStore { return delta(t, cached(t, mem(t)), keep) },
		"delta | delta":        func(t *testing.T, keep int) store.SnapshotStore { return delta(t, delta(t, mem(t), 0), keep) },
		"delta without memory": func(t *testing.T, keep int) store.SnapshotStore {
			s, err := compress.NewDelta(mem(t), compress.DeltaOptions{MinBytes: -1, MaxShare: 1, Keep: keep, CacheBytes: 1, Writer: "writer"})
			return layer(t, s, err)
		},
		"delta without memory and name": func(t *testing.T, keep int) store.SnapshotStore {
			s, err := compress.NewDelta(mem(t), compress.DeltaOptions{MinBytes: -1, MaxShare: 1, MaxDeltas: 3, Keep: keep, CacheBytes: 1})
			return layer(t, s, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore { return open(t, c.Keep) })
		})
	}
}

func TestNewDeltaRefusesBadOptions(t *testing.T) {
	for name, test := range map[string]struct {
		inner store.SnapshotStore
		opts  compress.DeltaOptions
		want  string
	}{
		"no store":          {nil, compress.DeltaOptions{}, "compress: invalid inner store: nil"},
		"MaxShare below":    {mustMemory(t, 0), compress.DeltaOptions{MaxShare: -0.1}, "compress: invalid MaxShare -0.1; allowed are 0 (for 0.1) to 1"},
		"MaxShare above":    {mustMemory(t, 0), compress.DeltaOptions{MaxShare: 1.1}, "invalid MaxShare 1.1"},
		"MaxShare none":     {mustMemory(t, 0), compress.DeltaOptions{MaxShare: math.NaN()}, "invalid MaxShare NaN"},
		"MaxDeltas":         {mustMemory(t, 0), compress.DeltaOptions{MaxDeltas: -1}, "invalid MaxDeltas -1; allowed are 0 (for 16) and more"},
		"Keep":              {mustMemory(t, 0), compress.DeltaOptions{Keep: -1}, "invalid Keep -1; allowed are 0 (all) and more"},
		"CacheBytes":        {mustMemory(t, 0), compress.DeltaOptions{CacheBytes: -1}, "invalid CacheBytes -1"},
		"MaxStateBytes":     {mustMemory(t, 0), compress.DeltaOptions{MaxStateBytes: -1}, "invalid MaxStateBytes -1"},
		"Writer":            {mustMemory(t, 0), compress.DeltaOptions{Writer: "node 1"}, `invalid Writer "node 1"; allowed are 1 to 64 letters, digits`},
		"Writer too long":   {mustMemory(t, 0), compress.DeltaOptions{Writer: strings.Repeat("w", 65)}, "invalid Writer"},
		"Keep beneath":      {mustMemory(t, 3), compress.DeltaOptions{}, "invalid Keep 3 of the store beneath Delta, which would remove bases"},
		"Keep further down": {cache.NewSingleflight(mustMemory(t, 3)), compress.DeltaOptions{}, "invalid Keep 3 of the store beneath Delta"},
		"Keep, no list":     {&fixed{}, compress.DeltaOptions{Keep: 3}, "invalid Keep 3 of Delta over a store that can't list"},
	} {
		_, err := compress.NewDelta(test.inner, test.opts)
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want ErrInvalid with %q", name, err, test.want)
		}
	}
}

// A history of states of which each has a hundredth changed since the one before.
func history(n, size int) [][]byte {
	states := [][]byte{jsonState(size)}
	random := rand.New(rand.NewPCG(uint64(size), 7))
	for len(states) < n {
		state := bytes.Clone(states[len(states)-1])
		for range size / 100 / 20 {
			copy(state[random.IntN(size-20):], fmt.Sprintf("%020d", random.Uint64()))
		}
		states = append(states, state)
	}
	return states
}

func mustDelta(t testing.TB, inner store.SnapshotStore, opts compress.DeltaOptions) *compress.Delta {
	t.Helper()
	d, err := compress.NewDelta(inner, opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// basesOf returns the numbers of the bases in a store, and the id they stand under.
func basesOf(t testing.TB, inner store.SnapshotStore) (stands string, numbers []uint64) {
	t.Helper()
	for info, err := range store.List(t.Context(), inner, "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info.PersistenceID, "~delta~") {
			stands = info.PersistenceID
			numbers = append(numbers, info.SequenceNr)
		}
	}
	return stands, numbers
}

func TestDeltaStoresDifferences(t *testing.T) {
	counter := storetest.NewCounter(mustMemory(t, 0))
	d := mustDelta(t, counter, compress.DeltaOptions{MaxShare: 0.25})
	defer mustClose(t, d)
	states := history(40, 200_000)
	for i, state := range states {
		mustSave(t, d, uint64(i+1), state)
		wantState(t, d, state)
	}
	for i, state := range states {
		snap, err := d.LoadBefore(t.Context(), id, uint64(i+2))
		if err != nil || snap.SequenceNr != uint64(i+1) || !bytes.Equal(snap.State, state) {
			t.Fatalf("LoadBefore %d gave number %d, %v", i+2, snap.SequenceNr, err)
		}
	}
	stats := d.Stats()
	if stats.Bases != 3 || stats.Differences != 40 || stats.Whole != 0 {
		t.Errorf("%+v; want 3 bases for 40 differences", stats)
	}
	if share := float64(stats.StoredBytes) / float64(stats.StateBytes); share > 0.3 {
		t.Errorf("%.2f of the bytes were stored", share)
	}
	if counts := counter.Counts(); counts.SavedBytes != stats.StoredBytes || counts.Saves != 43 {
		t.Errorf("the inner store got %+v; want %d bytes in 43 saves", counts, stats.StoredBytes)
	}
}

// Who writes on and on reads nothing, and lists nothing without Keep; a load of what it
// wrote reads the difference alone.
func TestDeltaReadsNothingToWrite(t *testing.T) {
	counter := storetest.NewCounter(mustMemory(t, 0))
	d := mustDelta(t, counter, compress.DeltaOptions{Keep: 3})
	defer mustClose(t, d)
	states := history(40, 100_000)
	for i, state := range states {
		mustSave(t, d, uint64(i+1), state)
	}
	if counts := counter.Counts(); counts.Loads() != 0 {
		t.Errorf("40 saves loaded %d snapshots", counts.Loads())
	}
	before := counter.Counts().LoadedBytes
	if snap, err := d.LoadLatest(t.Context(), id); err != nil || !bytes.Equal(snap.State, states[39]) {
		t.Fatal(err)
	}
	if counts := counter.Counts(); counts.Loads() != 1 || counts.LoadedBytes-before > 20_000 {
		t.Errorf("a load took %d loads of %d bytes", counts.Loads(), counts.LoadedBytes-before)
	}
	if _, bases := basesOf(t, counter); len(bases) > 2 {
		t.Errorf("%d bases are kept for 3 snapshots", len(bases))
	}
}

func TestDeltaOfSmallAndUnlikeStates(t *testing.T) {
	d := mustDelta(t, mustMemory(t, 0), compress.DeltaOptions{})
	defer mustClose(t, d)
	for nr := uint64(1); nr <= 10; nr++ {
		mustSave(t, d, nr, jsonState(64<<10-1))
	}
	if stats := d.Stats(); stats.Whole != 10 || stats.Bases != 0 {
		t.Errorf("states below MinBytes: %+v", stats)
	}
	for nr := uint64(11); nr <= 110; nr++ {
		mustSave(t, d, nr, unlike(100_000, nr))
	}
	if stats := d.Stats(); stats.Bases > 12 || stats.Whole < 90 {
		t.Errorf("states that have nothing in common: %+v; want bases to be rare", stats)
	}
	for nr, state := range history(70, 100_000) {
		mustSave(t, d, uint64(200+nr), state)
	}
	if stats := d.Stats(); stats.Differences < 10 {
		t.Errorf("states that have much in common again: %+v", stats)
	}
}

// unlike returns a state that has nothing in common with those of other seeds.
func unlike(size int, seed uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	state := make([]byte, size)
	rand.NewChaCha8(key).Read(state) // never fails
	return state
}

// Keep, Delete and saving a number again leave no snapshot without its base, and no base
// without a snapshot.
func TestDeltaRemovesBasesThatNobodyNeeds(t *testing.T) {
	inner := mustMemory(t, 0)
	d := mustDelta(t, inner, compress.DeltaOptions{MaxDeltas: 4, Keep: 3, OnPruneError: func(err error) { t.Error(err) }})
	defer mustClose(t, d)
	states := history(30, 100_000)
	for i, state := range states {
		mustSave(t, d, uint64(i+1), state)
		for back := range min(i+1, 3) {
			snap, err := d.LoadBefore(t.Context(), id, uint64(i+2-back))
			if err != nil || !bytes.Equal(snap.State, states[i-back]) {
				t.Fatalf("after the save of %d number %d: %v", i+1, i+1-back, err)
			}
		}
		if _, bases := basesOf(t, inner); len(bases) > 2 {
			t.Fatalf("after the save of %d there are %d bases", i+1, len(bases))
		}
	}
	mustSave(t, d, 28, unlike(100_000, 1)) // the number of a base perhaps, and with another state
	mustSave(t, d, 29, states[0])
	if snap, err := d.LoadLatest(t.Context(), id); err != nil || !bytes.Equal(snap.State, states[29]) {
		t.Errorf("after others were saved again: %v", err)
	}
	if err := d.Delete(t.Context(), id, 29); err != nil {
		t.Fatal(err)
	}
	if snap, err := d.LoadLatest(t.Context(), id); err != nil || !bytes.Equal(snap.State, states[29]) {
		t.Errorf("after the others were deleted: %v", err)
	}
	if err := d.Delete(t.Context(), id, 30); err != nil {
		t.Fatal(err)
	}
	for info := range store.List(t.Context(), inner, "") {
		t.Errorf("after everything was deleted %+v is left", info)
	}
}

// What a Delta that is no more knew of an id, another one with the same name finds out,
// before it removes a base.
func TestDeltaFindsOutWhatIsNeeded(t *testing.T) {
	for _, cacheBytes := range []int64{0, 1} {
		inner := mustMemory(t, 0)
		states := history(20, 100_000)
		for i, state := range states {
			// One Delta for each save, or heads that are forgotten each time.
			d := mustDelta(t, shared{inner}, compress.DeltaOptions{MaxDeltas: 4, Keep: 6, CacheBytes: cacheBytes, Writer: "node-1", OnPruneError: func(err error) { t.Error(err) }})
			mustSave(t, d, uint64(i+1), state)
			mustClose(t, d)
			d = mustDelta(t, shared{inner}, compress.DeltaOptions{Writer: "node-1"})
			for back := range min(i+1, 6) {
				snap, err := d.LoadBefore(t.Context(), id, uint64(i+2-back))
				if err != nil || !bytes.Equal(snap.State, states[i-back]) {
					t.Fatalf("after the save of %d number %d: %v", i+1, i+1-back, err)
				}
			}
			mustClose(t, d)
		}
		if _, bases := basesOf(t, inner); len(bases) > 3 {
			t.Errorf("%d bases", len(bases))
		}
	}
}

// With a name, the first save after a restart loads the base and goes on; without, it
// reads nothing and begins with a base.
func TestDeltaAfterARestart(t *testing.T) {
	states := history(3, 100_000)
	for _, test := range []struct {
		writer       string
		bases, loads int64
	}{{"node-1", 0, 2}, {"", 1, 0}} {
		inner := mustMemory(t, 0)
		d := mustDelta(t, shared{inner}, compress.DeltaOptions{Writer: test.writer})
		mustSave(t, d, 1, states[0])
		mustSave(t, d, 2, states[1])
		mustClose(t, d)

		counter := storetest.NewCounter(inner)
		d = mustDelta(t, counter, compress.DeltaOptions{Writer: test.writer})
		mustSave(t, d, 3, states[2])
		if stats, counts := d.Stats(), counter.Counts(); stats.Bases != test.bases || counts.Loads() != test.loads || stats.Differences != 1 {
			t.Errorf("writer %q: %+v with %d loads; want %d bases and %d loads", test.writer, stats, counts.Loads(), test.bases, test.loads)
		}
		for nr, state := range states {
			if snap, err := d.LoadBefore(t.Context(), id, uint64(nr+2)); err != nil || !bytes.Equal(snap.State, state) {
				t.Errorf("writer %q: number %d: %v", test.writer, nr+1, err)
			}
		}
		mustClose(t, d)
	}
}

// Where there is no room for the bases of all ids that are written in turn, a Save loads the
// one of its id, and writes no new one: with a name and without, and also where the id was
// only read since.
func TestDeltaLoadsTheBaseThatMadeRoom(t *testing.T) {
	for _, writer := range []string{"", "node-1"} {
		counter := storetest.NewCounter(mustMemory(t, 0))
		d := mustDelta(t, counter, compress.DeltaOptions{CacheBytes: 150_000, MaxDeltas: 8, Keep: 3, Writer: writer, OnPruneError: func(err error) { t.Error(err) }})
		states := history(10, 100_000) // of whose bases there is room for one
		const ids = 5
		for nr, state := range states {
			for of := range ids {
				name := fmt.Sprint("order-", of)
				if err := d.Save(t.Context(), store.Snapshot{PersistenceID: name, SequenceNr: uint64(nr), State: state}); err != nil {
					t.Fatal(err)
				}
			}
			for of := range ids {
				snap, err := d.LoadLatest(t.Context(), fmt.Sprint("order-", of))
				if err != nil || !bytes.Equal(snap.State, state) {
					t.Fatalf("order-%d at %d: %v", of, snap.SequenceNr, err)
				}
			}
		}
		// The first and, after eight more, the last but one of each begin with a base.
		if stats := d.Stats(); stats.Bases != 2*ids || stats.Differences != int64(len(states))*ids {
			t.Errorf("writer %q: %+v; want %d bases", writer, stats, 2*ids)
		}
		// A base is not gone on from once nothing is left of its id.
		for of := range ids {
			name := fmt.Sprint("order-", of)
			if err := d.Delete(t.Context(), name, math.MaxUint64); err != nil {
				t.Fatal(err)
			}
			if err := d.Save(t.Context(), store.Snapshot{PersistenceID: name, SequenceNr: 50, State: states[9]}); err != nil {
				t.Fatal(err)
			}
			if snap, err := d.LoadLatest(t.Context(), name); err != nil || !bytes.Equal(snap.State, states[9]) {
				t.Fatalf("%s after everything was deleted: %v", name, err)
			}
		}
		if stats := d.Stats(); stats.Bases != 3*ids {
			t.Errorf("writer %q: %+v; want %d bases", writer, stats, 3*ids)
		}
		mustClose(t, d)
	}
}

func TestDeltaWithoutItsBase(t *testing.T) {
	states := history(3, 100_000)
	for name, test := range map[string]struct {
		harm func(t *testing.T, inner store.SnapshotStore, stands string, number uint64)
		want string
	}{
		"missing": {func(t *testing.T, inner store.SnapshotStore, stands string, number uint64) {
			if err := inner.Delete(t.Context(), stands, number); err != nil {
				t.Fatal(err)
			}
		}, "base missing"},
		"replaced": {func(t *testing.T, inner store.SnapshotStore, stands string, number uint64) {
			other := mustMemory(t, 0)
			d := mustDelta(t, other, compress.DeltaOptions{})
			mustSave(t, d, 1, unlike(100_000, 3))
			at, numbers := basesOf(t, other)
			snap, err := other.LoadBefore(t.Context(), at, numbers[0]+1)
			if err == nil {
				err = inner.Save(t.Context(), store.Snapshot{PersistenceID: stands, SequenceNr: number, State: snap.State})
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "another one than it was made from"},
		"damaged": {func(t *testing.T, inner store.SnapshotStore, stands string, number uint64) {
			snap, err := inner.LoadBefore(t.Context(), stands, number+1)
			if err == nil {
				snap.State[len(snap.State)/2] ^= 1
				err = inner.Save(t.Context(), snap)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "its base"},
		"no base": {func(t *testing.T, inner store.SnapshotStore, stands string, number uint64) {
			if err := inner.Save(t.Context(), store.Snapshot{PersistenceID: stands, SequenceNr: number, State: []byte("no record")}); err != nil {
				t.Fatal(err)
			}
		}, "its base"},
	} {
		inner := mustMemory(t, 0)
		d := mustDelta(t, shared{inner}, compress.DeltaOptions{MaxDeltas: 2})
		mustSave(t, d, 1, []byte("a small state, which is stored whole"))
		mustSave(t, d, 2, states[0])
		mustSave(t, d, 3, states[1])
		mustClose(t, d)
		stands, numbers := basesOf(t, inner)
		test.harm(t, inner, stands, numbers[0])

		d = mustDelta(t, shared{inner}, compress.DeltaOptions{})
		wantLoadError(t, d, 3, store.ErrCorrupt)
		if _, err := d.LoadLatest(t.Context(), id); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "~delta~") {
			t.Errorf("%s: %v; want %q, and no id that nobody knows", name, err, test.want)
		}
		var passed []uint64
		f, err := store.NewFallback(d, store.FallbackOptions{OnCorrupt: func(_ string, nr uint64, _ error) { passed = append(passed, nr) }})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := f.LoadLatest(t.Context(), id)
		if err != nil || snap.SequenceNr != 1 || !slices.Equal(passed, []uint64{3, 2}) {
			t.Errorf("%s: with a Fallback number %d, %v, past %v; want 1 past 3 and 2", name, snap.SequenceNr, err, passed)
		}
		mustSave(t, d, 4, states[2]) // a writer that goes on is not held up
		wantState(t, d, states[2])
		mustClose(t, d)
	}
}

// Between the load of a difference and that of its base, both are removed: the load
// looks again, and does not call corrupt what was deleted.
func TestDeltaLoadOvertakenByRemovals(t *testing.T) {
	for name, load := range map[string]func(s store.SnapshotStore) (uint64, error){
		"LoadLatest": func(s store.SnapshotStore) (uint64, error) {
			snap, err := s.LoadLatest(t.Context(), id)
			return snap.SequenceNr, err
		},
		"LoadBefore": func(s store.SnapshotStore) (uint64, error) {
			snap, err := s.LoadBefore(t.Context(), id, 100)
			return snap.SequenceNr, err
		},
		"ViewLatest": func(s store.SnapshotStore) (nr uint64, err error) {
			err = store.ViewLatest(t.Context(), s, id, func(snap store.Snapshot) error { nr = snap.SequenceNr; return nil })
			return nr, err
		},
	} {
		inner := mustMemory(t, 0)
		d := mustDelta(t, inner, compress.DeltaOptions{MaxDeltas: 1, Keep: 1, Writer: "one"})
		states := history(10, 100_000)
		mustSave(t, d, 1, states[0])
		nr := uint64(1)
		overtaken := &overtakenLoad{SnapshotStore: inner, after: func() {
			for end := min(nr+2, 7); nr < end; { // the second is a new base
				nr++
				mustSave(t, d, nr, states[nr])
			}
		}}
		reader := mustDelta(t, overtaken, compress.DeltaOptions{CacheBytes: 1})
		if got, err := load(reader); err != nil || got != nr {
			t.Errorf("%s, overtaken by the saves of 2 to 7: number %d, %v; want %d", name, got, err, nr)
		}
		overtaken.after = func() {
			if err := d.Delete(t.Context(), id, 100); err != nil {
				t.Error(err)
			}
		}
		if got, err := load(mustDelta(t, overtaken, compress.DeltaOptions{})); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s, overtaken by Delete: number %d, %v; want ErrNotFound", name, got, err)
		}
		mustClose(t, d)
	}
}

// shared keeps a store open that another one will stand on.
type shared struct{ inner *memory.Store }

func (s shared) Save(ctx context.Context, snap store.Snapshot) error { return s.inner.Save(ctx, snap) }
func (s shared) LoadLatest(ctx context.Context, of string) (store.Snapshot, error) {
	return s.inner.LoadLatest(ctx, of)
}
func (s shared) LoadBefore(ctx context.Context, of string, nr uint64) (store.Snapshot, error) {
	return s.inner.LoadBefore(ctx, of, nr)
}
func (s shared) Delete(ctx context.Context, of string, nr uint64) error {
	return s.inner.Delete(ctx, of, nr)
}
func (s shared) Close() error                { return nil }
func (s shared) Unwrap() store.SnapshotStore { return s.inner }

// overtakenLoad calls after behind every load of a snapshot of the application.
type overtakenLoad struct {
	store.SnapshotStore
	after func()
}

func (o *overtakenLoad) LoadLatest(ctx context.Context, of string) (store.Snapshot, error) {
	snap, err := o.SnapshotStore.LoadLatest(ctx, of)
	o.after()
	return snap, err
}

func (o *overtakenLoad) LoadBefore(ctx context.Context, of string, nr uint64) (store.Snapshot, error) {
	snap, err := o.SnapshotStore.LoadBefore(ctx, of, nr)
	if of == id {
		o.after()
	}
	return snap, err
}

// Two processes over one inner store, on the same ids, with Keep and Delete: what was
// acknowledged last is there, and nothing is ever called corrupt.
func TestDeltasOfTwoProcesses(t *testing.T) {
	inner := mustMemory(t, 0)
	var processes []*compress.Delta
	for _, opts := range []compress.DeltaOptions{
		{MinBytes: -1, MaxDeltas: 3, Keep: 2},
		{MinBytes: -1, MaxDeltas: 2, Keep: 2, CacheBytes: 1, Writer: "named"},
		{MinBytes: -1, MaxDeltas: 3, Keep: 2, CacheBytes: 1},
	} {
		opts.OnPruneError = func(err error) { t.Error(err) }
		processes = append(processes, mustDelta(t, shared{inner}, opts))
	}
	states := history(8, 3000)
	const ids, saves = 3, 400
	var wg sync.WaitGroup
	for of := range ids {
		name := fmt.Sprint("order-", of)
		var last, acknowledged atomic.Uint64
		for p, d := range processes {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(of), uint64(p)))
				for range saves {
					nr := last.Add(1)
					if err := d.Save(t.Context(), store.Snapshot{PersistenceID: name, SequenceNr: nr, State: states[nr%8]}); err != nil {
						t.Error(err)
					}
					for seen := acknowledged.Load(); seen < nr && !acknowledged.CompareAndSwap(seen, nr); {
						seen = acknowledged.Load()
					}
					if random.IntN(5) == 0 {
						if before := acknowledged.Load(); before > 3 {
							if err := d.Delete(t.Context(), name, before-3); err != nil {
								t.Error(err)
							}
						}
					}
				}
			})
			wg.Go(func() {
				for range 2 * saves {
					least := acknowledged.Load()
					snap, err := d.LoadLatest(t.Context(), name)
					if errors.Is(err, store.ErrNotFound) && least == 0 {
						continue
					}
					if err != nil || snap.SequenceNr < least || !bytes.Equal(snap.State, states[snap.SequenceNr%8]) {
						t.Errorf("number %d, %v; want %d or more", snap.SequenceNr, err, least)
					}
					if _, err := d.LoadBefore(t.Context(), name, snap.SequenceNr); err != nil && !errors.Is(err, store.ErrNotFound) {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, d := range processes {
		for of := range ids {
			if err := d.Delete(t.Context(), fmt.Sprint("order-", of), math.MaxUint64); err != nil {
				t.Error(err)
			}
		}
		mustClose(t, d)
	}
	for info := range store.List(t.Context(), inner, "") {
		t.Errorf("after everything was deleted %+v is left", info)
	}
}

// A save of unknown outcome may come to be stored long after its call has ended. Until
// then its base stays.
func TestDeltaKeepsTheBaseOfASaveOfUnknownOutcome(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	inner := &lateSave{SnapshotStore: mustMemory(t, 0)}
	d := mustDelta(t, inner, compress.DeltaOptions{MaxDeltas: 1, Keep: 1, Writer: "one", Now: func() time.Time { return now }})
	defer mustClose(t, d)
	states := history(8, 100_000)
	mustSave(t, d, 1, states[0])
	inner.late = 2
	if err := d.Save(t.Context(), snapshot(2, states[1])); err == nil {
		t.Fatal("the save was to fail")
	}
	inner.late = 0
	for nr := uint64(3); nr < 6; nr++ {
		mustSave(t, d, nr, states[nr])
	}
	if err := inner.SnapshotStore.Save(t.Context(), inner.held); err != nil {
		t.Fatal(err)
	}
	if snap, err := d.LoadBefore(t.Context(), id, 3); err != nil || !bytes.Equal(snap.State, states[1]) {
		t.Errorf("what was stored late: %v", err)
	}
	now = now.Add(2 * time.Hour)
	mustSave(t, d, 6, states[6])
	mustSave(t, d, 7, states[7])
	if _, bases := basesOf(t, inner); len(bases) > 2 {
		t.Errorf("%d bases are left two hours later", len(bases))
	}
}

// lateSave fails the save of a number, which it holds.
type lateSave struct {
	store.SnapshotStore
	late uint64
	held store.Snapshot
}

func (l *lateSave) Unwrap() store.SnapshotStore { return l.SnapshotStore }

func (l *lateSave) Save(ctx context.Context, snap store.Snapshot) error {
	if l.late != 0 && snap.SequenceNr == l.late {
		snap.State = bytes.Clone(snap.State)
		l.held = snap
		return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, errors.New("connection lost"))
	}
	return l.SnapshotStore.Save(ctx, snap)
}

func TestDeltaIDs(t *testing.T) {
	inner := mustMemory(t, 0)
	d := mustDelta(t, inner, compress.DeltaOptions{MinBytes: -1, Writer: "w"})
	defer mustClose(t, d)
	ids := []string{"a", "a~delta~w", "a~delta~=", "~delta~", "a~delta~", "~delta~w", "~delta~=", "a~delta~w~delta~=", "a~delta~=~delta~=", "a~delta~=~delta~w", "a~delta~delta~w", "a~delta~~w", "a~delta~w!", strings.Repeat("i", store.MaxIDBytes), strings.Repeat("j", store.MaxIDBytes-9)}
	for i, of := range ids {
		for nr := uint64(1); nr <= 3; nr++ {
			if err := d.Save(t.Context(), store.Snapshot{PersistenceID: of, SequenceNr: nr, State: fmt.Appendf(nil, "%d %d %s", i, nr, strings.Repeat("the same ", 100))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := map[string]int{}
	for info, err := range store.List(t.Context(), d, "") {
		if err != nil {
			t.Fatal(err)
		}
		got[info.PersistenceID]++
	}
	for i, of := range ids {
		snap, err := d.LoadLatest(t.Context(), of)
		if err != nil || snap.PersistenceID != of || !strings.HasPrefix(string(snap.State), fmt.Sprintf("%d 3 ", i)) {
			t.Errorf("%.40q: %.10s, %v", of, snap.State, err)
		}
		if got[of] != 3 {
			t.Errorf("%.40q: %d snapshots are listed", of, got[of])
		}
	}
	if len(got) != len(ids) {
		t.Errorf("%d ids are listed; want %d", len(got), len(ids))
	}
	if stats := d.Stats(); stats.Whole != 3 {
		t.Errorf("%+v; want one id to be too long for a base", stats)
	}
	long := strings.Repeat("x", store.MaxIDBytes-8) + "~delta~w"
	for what, err := range map[string]error{
		"Save":       d.Save(t.Context(), store.Snapshot{PersistenceID: long, SequenceNr: 1}),
		"Delete":     d.Delete(t.Context(), long, 1),
		"LoadLatest": errorOf(d.LoadLatest(t.Context(), long)),
		"LoadBefore": errorOf(d.LoadBefore(t.Context(), long, 1)),
		"ViewLatest": d.ViewLatest(t.Context(), long, func(store.Snapshot) error { return nil }),
	} {
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "allowed are 1016 where it ends like") {
			t.Errorf("%s of an id too long to be escaped: %v", what, err)
		}
	}
}

// A base that a route sends elsewhere might be lost with what is kept there.
func TestDeltaOverARouteKeepsBasesWithTheirSnapshots(t *testing.T) {
	orders, rest := mustMemory(t, 0), mustMemory(t, 0)
	route, err := store.NewRoute(map[string]store.SnapshotStore{"order-": orders, "": rest})
	if err != nil {
		t.Fatal(err)
	}
	d := mustDelta(t, route, compress.DeltaOptions{Keep: 2})
	defer mustClose(t, d)
	states := history(4, 100_000)
	for nr, state := range states {
		if err := d.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: uint64(nr), State: state}); err != nil {
			t.Fatal(err)
		}
	}
	if stats := d.Stats(); stats.Differences != 4 || stats.Bases != 1 {
		t.Errorf("%+v; want one base", stats)
	}
	if stands, numbers := basesOf(t, orders); stands == "" || len(numbers) != 1 {
		t.Errorf("there are bases %v of %q where the snapshots are; want one", numbers, stands)
	}
	for info, err := range store.List(t.Context(), rest, "") {
		t.Errorf("in the other store is %+v, %v", info, err)
	}
}

func errorOf(_ store.Snapshot, err error) error { return err }

// Errors name the id of the application, not the one that it is stored under.
func TestDeltaErrorsNameNoIDOfItsOwn(t *testing.T) {
	inner := mustMemory(t, 0)
	zstd := mustNew(t, inner, compress.Options{})
	d := mustDelta(t, zstd, compress.DeltaOptions{})
	mustSave(t, d, 1, jsonState(100_000))
	stands, _ := basesOf(t, inner)
	snap, err := inner.LoadLatest(t.Context(), stands)
	if err == nil {
		snap.State[len(snap.State)/2] ^= 1
		err = inner.Save(t.Context(), snap)
	}
	if err != nil {
		t.Fatal(err)
	}
	reader := mustDelta(t, zstd, compress.DeltaOptions{})
	if _, err := reader.LoadLatest(t.Context(), id); !errors.Is(err, store.ErrCorrupt) || strings.Contains(err.Error(), "~delta~") {
		t.Errorf("a load whose base the store beneath calls corrupt: %v", err)
	}

	d = mustDelta(t, &fixed{}, compress.DeltaOptions{}) // which can't list
	for _, err := range store.List(t.Context(), d, "x~delta~w") {
		var named *store.Error
		if !errors.As(err, &named) || named.PersistenceID != "x~delta~w" || named.Op != store.OpList {
			t.Errorf("a listing that failed: %v", err)
		}
	}
}

func TestDeltaStatsOfLoads(t *testing.T) {
	inner := mustMemory(t, 0)
	d := mustDelta(t, shared{inner}, compress.DeltaOptions{})
	mustSave(t, d, 1, jsonState(100_000))
	for _, test := range []struct {
		reader      *compress.Delta
		hits, loads int64
	}{{d, 3, 0}, {mustDelta(t, shared{inner}, compress.DeltaOptions{}), 2, 1}} {
		for range 3 {
			if err := test.reader.ViewLatest(t.Context(), id, func(store.Snapshot) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if stats := test.reader.Stats(); stats.BaseHits != test.hits || stats.BaseLoads != test.loads {
			t.Errorf("after 3 views %+v; want %d bases at hand and %d loaded", stats, test.hits, test.loads)
		}
	}
}

func TestDeltaSweep(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	inner := mustMemory(t, 0)
	opts := compress.DeltaOptions{Keep: 1, Now: func() time.Time { return now }, OnPruneError: func(err error) { t.Error(err) }}
	states := history(4, 100_000)
	old := mustDelta(t, shared{inner}, opts)
	mustSave(t, old, 1, states[0]) // replaced by the next Delta
	for _, of := range []string{"needed", "deleted"} {
		if err := old.Save(t.Context(), store.Snapshot{PersistenceID: of, SequenceNr: 1, State: states[1]}); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, old)
	d := mustDelta(t, inner, opts)
	defer mustClose(t, d)
	mustSave(t, d, 2, states[2])
	if err := d.Delete(t.Context(), "deleted", 1); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		age  time.Duration
		want int
	}{{7 * 24 * time.Hour, 0}, {8*24*time.Hour + time.Second, 2}, {9 * 24 * time.Hour, 0}} {
		now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(test.age)
		removed, err := d.Sweep(t.Context())
		if err != nil || removed != test.want {
			t.Errorf("after %v: %d bases removed, %v; want %d", test.age, removed, err, test.want)
		}
	}
	wantState(t, d, states[2])
	if snap, err := d.LoadLatest(t.Context(), "needed"); err != nil || !bytes.Equal(snap.State, states[1]) {
		t.Errorf("what another writer had saved: %v", err)
	}
	if _, bases := basesOf(t, inner); len(bases) != 2 {
		t.Errorf("%d bases are left; want 2", len(bases))
	}
}

func TestDeltaStatesFromBeforeComeBack(t *testing.T) {
	inner := mustMemory(t, 0)
	states := map[uint64][]byte{1: nil, 2: []byte("x"), 3: jsonState(1000), 4: []byte("\x89dL"), 5: randomState(5000)}
	for nr, state := range states {
		mustSave(t, inner, nr, state)
	}
	d := mustDelta(t, inner, compress.DeltaOptions{MaxStateBytes: 100})
	defer mustClose(t, d)
	for nr, state := range states {
		if snap, err := d.LoadBefore(t.Context(), id, nr+1); err != nil || !bytes.Equal(snap.State, state) {
			t.Errorf("number %d: %q, %v", nr, snap.State, err)
		}
	}
}

func TestDeltaMaxStateBytes(t *testing.T) {
	inner := mustMemory(t, 0)
	d := mustDelta(t, shared{inner}, compress.DeltaOptions{MinBytes: -1})
	mustSave(t, d, 1, jsonState(1001))
	mustSave(t, d, 2, jsonState(1001))
	mustClose(t, d)
	d = mustDelta(t, inner, compress.DeltaOptions{MaxStateBytes: 1000})
	defer mustClose(t, d)
	if err := d.Save(t.Context(), snapshot(3, jsonState(1001))); !errors.Is(err, store.ErrTooLarge) || !strings.Contains(err.Error(), "1001 bytes; allowed by MaxStateBytes are 1000") {
		t.Errorf("Save of a byte too many: %v", err)
	}
	for name, load := range loads(d) {
		if err := load(t.Context()); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s of a byte too many: %v", name, err)
		}
	}
	mustSave(t, d, 4, jsonState(1000))
	wantState(t, d, jsonState(1000))
}

// A base is used for a week, so that others may remove it after eight days.
func TestDeltaUsesABaseForAWeek(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	d := mustDelta(t, mustMemory(t, 0), compress.DeltaOptions{Now: func() time.Time { return now }})
	defer mustClose(t, d)
	states := history(3, 100_000)
	for i, want := range []int64{1, 1, 2} {
		mustSave(t, d, uint64(i+1), states[i])
		if got := d.Stats().Bases; got != want {
			t.Errorf("after %v: %d bases; want %d", now, got, want)
		}
		now = now.Add(4 * 24 * time.Hour)
	}
}

// A writer with a name goes on from its own base and from nobody else's.
func TestDeltaGoesOnFromItsOwnBaseOnly(t *testing.T) {
	inner := mustMemory(t, 0)
	states := history(2, 100_000)
	one := mustDelta(t, shared{inner}, compress.DeltaOptions{Writer: "one"})
	mustSave(t, one, 1, states[0])
	two := mustDelta(t, shared{inner}, compress.DeltaOptions{Writer: "two"})
	mustSave(t, two, 2, states[1])
	if stats := two.Stats(); stats.Bases != 1 {
		t.Errorf("%+v; want a base of its own", stats)
	}
	if err := one.Delete(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
	mustClose(t, one)
	mustClose(t, two)
	reader := mustDelta(t, inner, compress.DeltaOptions{})
	defer mustClose(t, reader)
	wantState(t, reader, states[1])
}

// A save that failed may be stored all the same, in the place of one that needed no base.
func TestDeltaForgetsWhatAFailedSaveReplaced(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	inner := &storedButFailed{SnapshotStore: mustMemory(t, 0)}
	d := mustDelta(t, inner, compress.DeltaOptions{MaxDeltas: 1, Now: func() time.Time { return now }})
	defer mustClose(t, d)
	states := history(8, 100_000)
	small := []byte("a small state")
	mustSave(t, d, 1, states[0]) // the first base
	mustSave(t, d, 2, small)
	inner.failing = 2
	if err := d.Save(t.Context(), snapshot(2, states[1])); err == nil {
		t.Fatal("the save was to fail")
	}
	now = now.Add(2 * time.Hour)
	mustSave(t, d, 3, states[2])
	mustSave(t, d, 3, small)
	mustSave(t, d, 4, states[3]) // the second base
	if stats := d.Stats(); stats.Bases != 2 {
		t.Fatalf("%+v; want two bases", stats)
	}
	if err := d.Delete(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
	inner.failing = 0
	d = mustDelta(t, shared{inner.SnapshotStore.(*memory.Store)}, compress.DeltaOptions{})
	if snap, err := d.LoadBefore(t.Context(), id, 3); err != nil || !bytes.Equal(snap.State, states[1]) {
		t.Errorf("what was stored though its save failed: %v", err)
	}
}

// storedButFailed does the save of a number, and says that it failed.
type storedButFailed struct {
	store.SnapshotStore
	failing uint64
}

func (s *storedButFailed) Unwrap() store.SnapshotStore { return s.SnapshotStore }

func (s *storedButFailed) Save(ctx context.Context, snap store.Snapshot) error {
	err := s.SnapshotStore.Save(ctx, snap)
	if err == nil && s.failing != 0 && snap.SequenceNr == s.failing {
		return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, errors.New("connection lost"))
	}
	return err
}

// A removal of bases may fail and be done late all the same. It names the last base that
// there was, so that it does not meet those that are made in the meantime.
func TestDeltaRemovesNoBaseToCome(t *testing.T) {
	inner := &recordedDeletes{SnapshotStore: mustMemory(t, 0)}
	d := mustDelta(t, inner, compress.DeltaOptions{})
	defer mustClose(t, d)
	states := history(2, 100_000)
	mustSave(t, d, 1, states[0])
	stands, bases := basesOf(t, inner)
	if err := d.Delete(t.Context(), id, math.MaxUint64); err != nil {
		t.Fatal(err)
	}
	if bound := inner.bounds[stands]; bound != bases[0] {
		t.Errorf("bases up to %d were removed; want %d, the last there was", bound, bases[0])
	}
	mustSave(t, d, 1, states[1])
	if err := inner.Delete(t.Context(), stands, inner.bounds[stands]); err != nil { // late
		t.Fatal(err)
	}
	wantState(t, mustDelta(t, shared{inner.SnapshotStore.(*memory.Store)}, compress.DeltaOptions{}), states[1])
}

// recordedDeletes remembers the last bound of Delete of each id.
type recordedDeletes struct {
	store.SnapshotStore
	bounds map[string]uint64
}

func (r *recordedDeletes) Unwrap() store.SnapshotStore { return r.SnapshotStore }

func (r *recordedDeletes) Delete(ctx context.Context, of string, bound uint64) error {
	if r.bounds == nil {
		r.bounds = make(map[string]uint64)
	}
	r.bounds[of] = bound
	return r.SnapshotStore.Delete(ctx, of, bound)
}

// Whatever fails between a Delta and its store, before or after it took effect: what was
// acknowledged is there, and nothing is called corrupt.
func TestDeltaWithFaults(t *testing.T) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 1))
		var mu sync.Mutex
		fail := func(string, string) error {
			mu.Lock()
			defer mu.Unlock()
			if random.IntN(6) == 0 {
				return errors.New("disk on fire")
			}
			return nil
		}
		inner := mustMemory(t, 0)
		faulty := storetest.NewFaults(shared{inner}, storetest.FaultOptions{Before: fail, After: fail})
		opts := compress.DeltaOptions{MinBytes: -1, MaxShare: 1, MaxDeltas: 3, Keep: 2 + int(seed%2), Writer: "writer"}
		d := mustDelta(t, faulty, opts)
		states := history(8, 3000)
		acknowledged := uint64(0)
		for nr := uint64(1); nr < 300; nr++ {
			if err := d.Save(t.Context(), snapshot(nr, states[nr%8])); err == nil {
				acknowledged = nr
			}
			if nr%40 == 0 { // a restart
				d = mustDelta(t, faulty, opts)
			}
			if nr%50 == 0 && acknowledged > 1 {
				_ = d.Delete(t.Context(), id, acknowledged-1) // may fail
			}
			reader := mustDelta(t, shared{inner}, compress.DeltaOptions{})
			snap, err := reader.LoadLatest(t.Context(), id)
			if errors.Is(err, store.ErrNotFound) && acknowledged == 0 {
				continue
			}
			if err != nil || snap.SequenceNr < acknowledged || !bytes.Equal(snap.State, states[snap.SequenceNr%8]) {
				t.Fatalf("seed %d: after %d, of which %d was acknowledged: number %d, %v", seed, nr, acknowledged, snap.SequenceNr, err)
			}
			for below := snap.SequenceNr; ; {
				snap, err := reader.LoadBefore(t.Context(), id, below)
				if errors.Is(err, store.ErrNotFound) {
					break
				}
				if err != nil || !bytes.Equal(snap.State, states[snap.SequenceNr%8]) {
					t.Fatalf("seed %d: number %d below %d: %v", seed, snap.SequenceNr, below, err)
				}
				below = snap.SequenceNr
			}
		}
	}
}

// Bases have ids that a store beneath may refuse, though it takes those of the snapshots.
func TestDeltaOverAStoreThatRefusesBases(t *testing.T) {
	route, err := store.NewRouteFunc([]store.SnapshotStore{mustMemory(t, 0)}, func(id string) int {
		if id == "order-1" {
			return 0
		}
		return -1
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		inner store.SnapshotStore
		id    string
	}{
		"route without one for bases": {route, "order-1"},
		// The base of the outer one has 1020 bytes, which the inner one can't escape.
		"delta of a long id": {mustDelta(t, mustMemory(t, 0), compress.DeltaOptions{}), strings.Repeat("i", 1020-len("~delta~one"))},
	} {
		for range 2 { // the second is a restart
			d := mustDelta(t, test.inner, compress.DeltaOptions{Keep: 2, Writer: "one", OnPruneError: func(err error) { t.Errorf("%s: %v", name, err) }})
			if err := d.Delete(t.Context(), test.id, 1); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			states := history(4, 100_000)
			for nr, state := range states {
				if err := d.Save(t.Context(), store.Snapshot{PersistenceID: test.id, SequenceNr: uint64(nr), State: state}); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if snap, err := d.LoadLatest(t.Context(), test.id); err != nil || !bytes.Equal(snap.State, states[3]) {
				t.Errorf("%s: %v", name, err)
			}
			if stats := d.Stats(); stats.Whole != 4 || stats.StateBytes != 400_000 {
				t.Errorf("%s: %+v; want all of them whole", name, stats)
			}
			if err := d.Delete(t.Context(), test.id, 9); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Who saves one number over and over again, the latest state of all, leaves no more bases
// behind than who counts on; also where the Delta has forgotten the id in between.
func TestDeltaOfOneNumber(t *testing.T) {
	states := history(30, 100_000)
	for name, test := range map[string]struct {
		opts   compress.DeltaOptions
		others bool // are saved in between
	}{
		"all kept":            {compress.DeltaOptions{MaxDeltas: 2}, false},
		"one kept":            {compress.DeltaOptions{MaxDeltas: 2, Keep: 1}, false},
		"one kept, forgotten": {compress.DeltaOptions{MaxDeltas: 2, Keep: 1, CacheBytes: 200_000}, true},
	} {
		inner := mustMemory(t, 0)
		test.opts.OnPruneError = func(err error) { t.Error(err) }
		d := mustDelta(t, inner, test.opts)
		for _, state := range states {
			mustSave(t, d, 1, state)
			wantState(t, d, state)
			if test.others {
				if err := d.Save(t.Context(), store.Snapshot{PersistenceID: "other", SequenceNr: 1, State: state}); err != nil {
					t.Fatal(err)
				}
			}
		}
		bases := 0
		for info, err := range store.List(t.Context(), inner, "") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(info.PersistenceID, id+"~delta~") {
				bases++
			}
		}
		if bases != 1 {
			t.Errorf("%s: %d bases for one snapshot", name, bases)
		}
	}
}

// However many snapshots are kept, who goes on writing reads none of them to find out
// which bases they need.
func TestDeltaReadsNothingToRemoveBases(t *testing.T) {
	states := history(8, 2000)
	for _, keep := range []int{3, 500, 1500} {
		counter := storetest.NewCounter(mustMemory(t, 0))
		d := mustDelta(t, counter, compress.DeltaOptions{MinBytes: -1, MaxShare: 1, Keep: keep})
		for nr := range uint64(4000) {
			mustSave(t, d, nr, states[nr%8])
		}
		if loads := counter.Counts().Loads(); loads != 0 {
			t.Errorf("with Keep %d 4000 saves loaded %d snapshots", keep, loads)
		}
		if _, bases := basesOf(t, counter); len(bases) > keep/16+2 {
			t.Errorf("with Keep %d there are %d bases", keep, len(bases))
		}
		mustClose(t, d)
	}
}

// A base that has no room in the cache is loaded each time.
func TestDeltaOfStatesLargerThanItsCache(t *testing.T) {
	for _, writer := range []string{"", "one"} {
		d := mustDelta(t, mustMemory(t, 0), compress.DeltaOptions{CacheBytes: 100_000, Writer: writer})
		for nr, state := range history(5, 100_000) {
			mustSave(t, d, uint64(nr), state)
			wantState(t, d, state)
		}
		stats := d.Stats()
		stats.StoredBytes, stats.BaseHits, stats.BaseLoads = 0, 0, 0
		if want := (compress.DeltaStats{Differences: 5, Bases: 1, StateBytes: 500_000}); stats != want {
			t.Errorf("writer %q: %+v; want %+v", writer, stats, want)
		}
		mustClose(t, d)
	}
}

// A base that is both read and written from, as after a restart, counts once.
func TestDeltaCountsABaseOnce(t *testing.T) {
	inner := mustMemory(t, 0)
	opts := compress.DeltaOptions{Writer: "one", CacheBytes: 200_000} // room for a base and a half
	states := history(8, 100_000)
	d := mustDelta(t, shared{inner}, opts)
	mustSave(t, d, 1, states[0])
	mustClose(t, d)
	counter := storetest.NewCounter(inner)
	d = mustDelta(t, counter, opts)
	defer mustClose(t, d)
	for i, state := range states[1:] {
		mustSave(t, d, uint64(i+2), state)
	}
	if loads := counter.Counts().Loads(); loads != 2 {
		t.Errorf("%d loads for %d saves after a restart; want 2, for the first", loads, len(states)-1)
	}
}

// A corrupt snapshot can't tell which base it needs: the bases stay, Delete does what it
// was asked for, and Sweep goes on with other ids.
func TestDeltaBesideACorruptSnapshot(t *testing.T) {
	states := history(6, 100_000)
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, writer := range []string{"one", "two"} { // of those who delete and sweep
		inner := mustMemory(t, 0)
		d := mustDelta(t, shared{inner}, compress.DeltaOptions{Writer: "one", MaxDeltas: 1, Now: func() time.Time { return now }})
		ids := []string{"a", "b", "c"}
		for _, of := range ids {
			for nr, state := range states {
				if err := d.Save(t.Context(), store.Snapshot{PersistenceID: of, SequenceNr: uint64(nr), State: state}); err != nil {
					t.Fatal(err)
				}
			}
			if of != "b" {
				continue
			}
			snap, err := inner.LoadLatest(t.Context(), of)
			if err == nil {
				snap.State[len(snap.State)/2] ^= 1
				err = inner.Save(t.Context(), snap)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, d)

		var told []error
		d = mustDelta(t, inner, compress.DeltaOptions{
			Writer: writer,
			Now:    func() time.Time { return now.Add(30 * 24 * time.Hour) },
			// That a state is too large to be loaded does not keep it from being deleted.
			MaxStateBytes: 1000,
			OnPruneError:  func(err error) { told = append(told, err) },
		})
		for _, of := range ids {
			if err := d.Delete(t.Context(), of, 3); err != nil {
				t.Errorf("%s: Delete beside a corrupt snapshot: %v", writer, err)
			}
		}
		_, err := d.Sweep(t.Context())
		var named *store.Error
		for _, err := range append(told, err) {
			if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.PersistenceID != "b" || named.SequenceNr != 5 {
				t.Errorf("%s: %v; want that number 5 of b is corrupt", writer, err)
			}
		}
		if writer == "one" && len(told) != 1 {
			t.Errorf("OnPruneError was told %v; want what Delete found", told)
		}
		bases := make(map[string]int)
		for info, err := range store.List(t.Context(), inner, "") {
			if err != nil {
				t.Fatal(err)
			}
			bases[info.PersistenceID]++
		}
		if a, b, c := bases["a~delta~one"], bases["b~delta~one"], bases["c~delta~one"]; a != 1 || b != 3 || c != 1 {
			t.Errorf("%s: %d, %d and %d bases; want 1, 3 and 1", writer, a, b, c)
		}
		mustClose(t, d)
	}
}

// Sweep looks at all snapshots of an id, however many there are.
func TestDeltaSweepOfManySnapshots(t *testing.T) {
	inner := mustMemory(t, 0)
	opts := compress.DeltaOptions{Writer: "one", MinBytes: -1, MaxShare: 1, MaxDeltas: 1}
	states := history(8, 2000)
	d := mustDelta(t, shared{inner}, opts)
	for nr := range uint64(200) {
		mustSave(t, d, nr, states[nr%8])
	}
	other := mustDelta(t, shared{inner}, compress.DeltaOptions{})
	if err := other.Delete(t.Context(), id, 99); err != nil {
		t.Fatal(err)
	}
	mustClose(t, d)
	d = mustDelta(t, inner, opts)
	defer mustClose(t, d)
	if removed, err := d.Sweep(t.Context()); err != nil || removed != 50 {
		t.Errorf("%d of 100 bases removed, %v; want 50", removed, err)
	}
}

// A ctx that ends at any step of a call: its error is the call's, unless the call was as
// good as done, and what was there before or acknowledged since is there.
func TestDeltaWithACtxThatEndsAtAnyStep(t *testing.T) {
	states := history(8, 3000)
	opts := compress.DeltaOptions{MinBytes: -1, MaxDeltas: 2, Keep: 2, Writer: "one"}
	for name, call := range map[string]func(ctx context.Context, d *compress.Delta) error{
		"Save":       func(ctx context.Context, d *compress.Delta) error { return d.Save(ctx, snapshot(6, states[6])) },
		"LoadLatest": func(ctx context.Context, d *compress.Delta) error { return errorOf(d.LoadLatest(ctx, id)) },
		"LoadBefore": func(ctx context.Context, d *compress.Delta) error { return errorOf(d.LoadBefore(ctx, id, 5)) },
		"ViewLatest": func(ctx context.Context, d *compress.Delta) error {
			return d.ViewLatest(ctx, id, func(store.Snapshot) error { return nil })
		},
		"Delete": func(ctx context.Context, d *compress.Delta) error { return d.Delete(ctx, id, 4) },
		"Sweep": func(ctx context.Context, d *compress.Delta) error {
			_, err := d.Sweep(ctx)
			return err
		},
	} {
		for _, done := range []bool{false, true} { // whether the step is done all the same
			step := 1
			for ended := true; ended; step++ { // until the call has no more steps
				inner := mustMemory(t, 0)
				d := mustDelta(t, shared{inner}, opts)
				for nr := uint64(1); nr < 6; nr++ {
					mustSave(t, d, nr, states[nr])
				}
				mustClose(t, d)

				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ending := &endingCtx{inner: inner, at: step, done: done, cancel: cancel}
				d = mustDelta(t, ending, opts)
				err := call(ctx, d)
				ended = ctx.Err() != nil
				if err != nil && !(ended && errors.Is(err, context.Canceled)) {
					t.Errorf("%s, ended at step %d: %v", name, step, err)
				}
				reader := mustDelta(t, shared{inner}, compress.DeltaOptions{})
				least := uint64(5)
				if name == "Save" && err == nil {
					least = 6
				}
				snap, loadErr := reader.LoadLatest(t.Context(), id)
				if loadErr != nil || snap.SequenceNr < least || !bytes.Equal(snap.State, states[snap.SequenceNr]) {
					t.Errorf("%s, ended at step %d: number %d, %v; want %d", name, step, snap.SequenceNr, loadErr, least)
				}
				mustSave(t, d, 7, states[7]) // the turn was given back, and bases are known again
				for number := range uint64(8) {
					snap, err := reader.LoadBefore(t.Context(), id, number+1)
					if err != nil && !errors.Is(err, store.ErrNotFound) || err == nil && !bytes.Equal(snap.State, states[snap.SequenceNr]) {
						t.Errorf("%s, ended at step %d: number %d after one more save: %v", name, step, number, err)
					}
				}
			}
			if want := map[string]int{"Save": 6, "Delete": 4, "Sweep": 4}[name]; step-2 < max(want, 2) {
				t.Errorf("%s has %d steps; want more to be tried", name, step-2)
			}
		}
	}
}

// endingCtx cancels a ctx at one of the calls it is given, before or after that is done.
type endingCtx struct {
	inner  *memory.Store
	at     int
	done   bool
	cancel func()

	steps int
}

func (e *endingCtx) step(do func()) {
	e.steps++
	if e.steps == e.at && !e.done {
		e.cancel()
	}
	do()
	if e.steps == e.at && e.done {
		e.cancel()
	}
}

func (e *endingCtx) Save(ctx context.Context, snap store.Snapshot) (err error) {
	e.step(func() { err = e.inner.Save(ctx, snap) })
	return err
}

func (e *endingCtx) LoadLatest(ctx context.Context, of string) (snap store.Snapshot, err error) {
	e.step(func() { snap, err = e.inner.LoadLatest(ctx, of) })
	return snap, err
}

func (e *endingCtx) LoadBefore(ctx context.Context, of string, nr uint64) (snap store.Snapshot, err error) {
	e.step(func() { snap, err = e.inner.LoadBefore(ctx, of, nr) })
	return snap, err
}

func (e *endingCtx) Delete(ctx context.Context, of string, nr uint64) (err error) {
	e.step(func() { err = e.inner.Delete(ctx, of, nr) })
	return err
}

func (e *endingCtx) List(ctx context.Context, of string) (listing iter.Seq2[store.Info, error]) {
	e.step(func() { listing = e.inner.List(ctx, of) })
	return listing
}

func (e *endingCtx) Close() error { return nil }
