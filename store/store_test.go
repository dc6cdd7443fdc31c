package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func newMemory(t *testing.T, opts memory.Options) store.SnapshotStore {
	t.Helper()
	s, err := memory.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func save(t *testing.T, s store.SnapshotStore, id string, nr uint64, state string) {
	t.Helper()
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: []byte(state)}); err != nil {
		t.Fatal(err)
	}
}

func TestErrorReadsAsALogLine(t *testing.T) {
	full := errors.New("disk full")
	for _, c := range []struct {
		err  error
		want string
	}{
		{store.Wrap(store.OpSave, "order-1", 0, full), `save "order-1" at 0: disk full`},
		{store.Wrap(store.OpLoadLatest, "order-1", 0, store.ErrNotFound), `load latest "order-1": snapshot not found`},
		{store.Wrap(store.OpLoadLatest, "order-1", 7, fmt.Errorf("%w: checksum", store.ErrCorrupt)), `load latest "order-1" at 7: snapshot corrupt: checksum`},
		{store.Wrap(store.OpLoadBefore, "order-1", 7, full), `load before "order-1" below 7: disk full`},
		{store.Wrap(store.OpDelete, "a\nb", 7, full), `delete "a\nb" up to 7: disk full`},
		{store.Wrap(store.OpList, "", 0, full), `list: disk full`},
		{store.Wrap(store.OpList, "", 7, store.ErrCorrupt), `list at 7: snapshot corrupt`},
		{store.Wrap(store.OpList, "order-1", 0, store.ErrCorrupt), `list "order-1": snapshot corrupt`},
		{store.Wrap(store.OpOpen, "", 0, full), `open: disk full`},
		{store.Wrap(store.OpOpen, "", 0, store.ErrCorrupt), `open: snapshot corrupt`},
		{store.Wrap(store.OpSave, strings.Repeat("x", 2000), 1, store.ErrInvalid), `save "` + strings.Repeat("x", 64) + `"... at 1: invalid`},
	} {
		if c.err.Error() != c.want {
			t.Errorf("got  %s\nwant %s", c.err, c.want)
		}
	}
}

func TestWrapKeepsTheInnermostName(t *testing.T) {
	if err := store.Wrap(store.OpSave, "order-1", 1, nil); err != nil {
		t.Errorf("Wrap of nil: %v", err)
	}
	inner := store.Wrap(store.OpLoadLatest, "order-1", 7, store.ErrCorrupt)
	outer := store.Wrap(store.OpSave, "order-2", 8, fmt.Errorf("layer: %w", inner))
	var named *store.Error
	if !errors.As(outer, &named) || named.PersistenceID != "order-1" || named.SequenceNr != 7 {
		t.Errorf("Wrap hid the entity that the inner error named: %v", outer)
	}
}

func TestSaveTimeCutsToMillisecondsInUTC(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 1_999_999, time.FixedZone("", 3600))
	want := time.Date(2026, 1, 1, 11, 0, 0, 1_000_000, time.UTC)
	if got := store.SaveTime(at, nil); got != want {
		t.Errorf("SaveTime = %v; want %v", got, want)
	}
	if got := store.SaveTime(time.Time{}, func() time.Time { return at }); got != want {
		t.Errorf("SaveTime of the zero time = %v; want %v", got, want)
	}
}

func TestCheckSaveRefusesTimesThatWrap(t *testing.T) {
	snap := store.Snapshot{PersistenceID: "order-1", Timestamp: time.Unix(1<<60, 0)}
	if err := store.CheckSave(snap); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("CheckSave in year %d: %v; want ErrInvalid", snap.Timestamp.Year(), err)
	}
}

func TestGateCloseWaitsForWhatIsInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gate store.Gate
		if err := gate.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		released := false
		failure := errors.New("from release")
		closing := func() {
			if err := gate.Close(func() error { released = true; return failure }); err != failure {
				t.Errorf("Close returned %v; want what release returned", err)
			}
		}
		var closer sync.WaitGroup
		closer.Go(closing)
		synctest.Wait() // Close is blocked now
		if released {
			t.Error("Close released with an operation inside")
		}
		for range 3 { // turned away, which must not count as the operation inside leaving
			if err := gate.Enter(t.Context()); !errors.Is(err, store.ErrClosed) {
				t.Errorf("Enter during Close: %v; want ErrClosed", err)
			}
		}
		synctest.Wait()
		if released {
			t.Error("Close released when an operation was turned away")
		}
		gate.Leave()
		closer.Wait()
		if !released {
			t.Error("Close returned without releasing")
		}
		released = false
		closing()
		if released {
			t.Error("the second Close released again")
		}
		if err := gate.Enter(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Enter after Close: %v; want ErrClosed", err)
		}
	})
}

func TestGateRefusesAnEndedContext(t *testing.T) {
	var gate store.Gate
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := gate.Enter(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Enter: %v; want context.Canceled", err)
	}
	if err := gate.Close(nil); err != nil { // and it counts nothing: Close does not wait
		t.Error(err)
	}
}

// bare hides every capability of the store in it.
type bare struct{ store.SnapshotStore }

func TestAsLooksThroughWrappers(t *testing.T) {
	backend := newMemory(t, memory.Options{})
	counter := storetest.NewCounter(backend)
	fallback, err := store.NewFallback(counter, store.FallbackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := store.As[*storetest.Counter](fallback); !ok || got != counter {
		t.Errorf("As found %v, %v; want the counter", got, ok)
	}
	if got, ok := store.As[store.SnapshotStore](fallback); !ok || got != fallback {
		t.Errorf("As found %v, %v; want the outermost layer", got, ok)
	}
	if _, ok := store.As[*memory.Store](bare{backend}); ok {
		t.Error("As saw into a layer without Unwrap")
	}
	if _, ok := store.As[*memory.Store](nil); ok {
		t.Error("As found a layer in nil")
	}
}

func TestListWithoutListerIsUnsupported(t *testing.T) {
	yields := 0
	for _, err := range store.List(t.Context(), bare{newMemory(t, memory.Options{})}, "") {
		yields++
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("List yielded %v; want ErrUnsupported", err)
		}
	}
	if yields != 1 {
		t.Errorf("List yielded %d times; want 1", yields)
	}
}

func TestViewLatestDoesNotBypassAWrapper(t *testing.T) {
	backend := newMemory(t, memory.Options{})
	save(t, backend, "order-1", 1, "plain")
	upper := upperCase{bare{backend}}
	err := store.ViewLatest(t.Context(), upper, "order-1", func(snap store.Snapshot) error {
		if string(snap.State) != "PLAIN" {
			t.Errorf("view got %q; want what the wrapper makes of it", snap.State)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// upperCase is a wrapper that changes states and is no Viewer.
type upperCase struct{ bare }

func (u upperCase) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	snap, err := u.SnapshotStore.LoadLatest(ctx, id)
	snap.State = []byte(strings.ToUpper(string(snap.State)))
	return snap, err
}

func (u upperCase) Unwrap() store.SnapshotStore { return u.SnapshotStore }

type account struct {
	Owner   string
	Balance int
}

func TestTyped(t *testing.T) {
	counter := storetest.NewCounter(newMemory(t, memory.Options{}))
	typed := store.NewTyped(counter, store.JSON[account]())
	if _, _, err := typed.LoadLatest(t.Context(), "account-1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("LoadLatest of nothing: %v; want ErrNotFound", err)
	}
	want := account{"Ada", 42}
	if err := typed.Save(t.Context(), "account-1", 7, want); err != nil {
		t.Fatal(err)
	}
	got, nr, err := typed.LoadLatest(t.Context(), "account-1")
	if err != nil || got != want || nr != 7 {
		t.Errorf("LoadLatest = %v, %d, %v; want %v, 7", got, nr, err, want)
	}
	save(t, counter, "account-1", 8, "not JSON")
	if _, _, err := typed.LoadLatest(t.Context(), "account-1"); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("LoadLatest of a state that is not JSON: %v; want an error that is not ErrNotFound", err)
	}
	if err := store.NewTyped(counter, store.JSON[func()]()).Save(t.Context(), "account-1", 9, nil); err == nil {
		t.Error("Save of what JSON can't encode succeeded")
	}
	if saves := counter.Counts().Saves; saves != 2 {
		t.Errorf("%d saves reached the store; want 2", saves)
	}
}

func TestEveryN(t *testing.T) {
	due := store.EveryN(100)
	for events, want := range map[uint64]bool{0: false, 99: false, 100: true, 250: true} {
		if got := due(store.Since{Events: events}); got != want {
			t.Errorf("EveryN(100) after %d events = %v; want %v", events, got, want)
		}
	}
	if store.EveryN(0)(store.Since{Events: 1 << 60}) {
		t.Error("EveryN(0) asked for a snapshot")
	}
}

// corrupting is a store in which some snapshots are corrupt.
type corrupting struct {
	bare
	numbers map[uint64]bool
}

func (c corrupting) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	return c.intact(store.OpLoadLatest)(c.SnapshotStore.LoadLatest(ctx, id))
}

func (c corrupting) LoadBefore(ctx context.Context, id string, nr uint64) (store.Snapshot, error) {
	return c.intact(store.OpLoadBefore)(c.SnapshotStore.LoadBefore(ctx, id, nr))
}

func (c corrupting) intact(op string) func(store.Snapshot, error) (store.Snapshot, error) {
	return func(snap store.Snapshot, err error) (store.Snapshot, error) {
		if err == nil && c.numbers[snap.SequenceNr] {
			return store.Snapshot{}, store.Wrap(op, snap.PersistenceID, snap.SequenceNr, store.ErrCorrupt)
		}
		return snap, err
	}
}

func TestFallback(t *testing.T) {
	for name, c := range map[string]struct {
		corrupt  []uint64
		attempts int
		want     uint64 // number that a load of the latest gives
		corrupts bool   // or that it fails with ErrCorrupt
		reported []uint64
	}{
		"intact":                {nil, 3, 9, false, nil},
		"latest corrupt":        {[]uint64{9}, 3, 7, false, []uint64{9}},
		"two corrupt":           {[]uint64{9, 7}, 3, 5, false, []uint64{9, 7}},
		"too many corrupt":      {[]uint64{9, 7, 5}, 3, 9, true, []uint64{9, 7, 5}},
		"one attempt":           {[]uint64{9}, 1, 9, true, []uint64{9}},
		"zero attempts means 3": {[]uint64{9, 7}, 0, 5, false, []uint64{9, 7}},
		"all corrupt":           {[]uint64{9, 7, 5, 0}, 10, 9, true, []uint64{9, 7, 5, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			backend := newMemory(t, memory.Options{})
			for _, nr := range []uint64{0, 5, 7, 9} {
				save(t, backend, "order-1", nr, fmt.Sprint(nr))
			}
			numbers := maps.Collect(func(yield func(uint64, bool) bool) {
				for _, nr := range c.corrupt {
					yield(nr, true)
				}
			})
			var reported []uint64
			f, err := store.NewFallback(corrupting{bare{backend}, numbers}, store.FallbackOptions{
				Attempts: c.attempts,
				OnCorrupt: func(id string, nr uint64, err error) {
					if id != "order-1" || !errors.Is(err, store.ErrCorrupt) {
						t.Errorf("OnCorrupt got %q, %v", id, err)
					}
					reported = append(reported, nr)
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			check := func(op string, snap store.Snapshot, err error) {
				t.Helper()
				if c.corrupts {
					var named *store.Error
					if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.SequenceNr != c.want {
						t.Errorf("%s: %v; want ErrCorrupt at %d", op, err, c.want)
					}
				} else if err != nil || snap.SequenceNr != c.want {
					t.Errorf("%s gave number %d, %v; want %d", op, snap.SequenceNr, err, c.want)
				}
				if !slices.Equal(reported, c.reported) {
					t.Errorf("%s reported %v; want %v", op, reported, c.reported)
				}
				reported = nil
			}
			snap, err := f.LoadLatest(t.Context(), "order-1")
			check("LoadLatest", snap, err)
			snap, err = f.LoadBefore(t.Context(), "order-1", 100)
			check("LoadBefore", snap, err)
			snap = store.Snapshot{}
			err = f.ViewLatest(t.Context(), "order-1", func(viewed store.Snapshot) error { snap = viewed; return nil })
			check("ViewLatest", snap, err)
		})
	}
}

func TestFallbackReturnsOtherFailures(t *testing.T) {
	failure := errors.New("wire cut")
	backend := newMemory(t, memory.Options{})
	save(t, backend, "order-1", 5, "five")
	save(t, backend, "order-1", 9, "nine")
	failing := storetest.NewFaults(corrupting{bare{backend}, map[uint64]bool{9: true}}, storetest.FaultOptions{
		Before: func(op, _ string) error {
			if op == store.OpLoadBefore {
				return failure
			}
			return nil
		},
	})
	f, err := store.NewFallback(failing, store.FallbackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.LoadLatest(t.Context(), "order-1"); !errors.Is(err, failure) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("LoadLatest whose second attempt fails: %v; want that failure", err)
	}
	if _, err := f.LoadLatest(t.Context(), "order-2"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("LoadLatest of nothing: %v; want ErrNotFound", err)
	}
	// An error of view that looks like corruption is view's, and sends nobody on.
	intact, err := store.NewFallback(backend, store.FallbackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	err = intact.ViewLatest(t.Context(), "order-1", func(store.Snapshot) error { calls++; return store.ErrCorrupt })
	if err != store.ErrCorrupt || calls != 1 {
		t.Errorf("ViewLatest called view %d times and returned %v; want 1 call and view's own error", calls, err)
	}
}

func TestFallbackOptions(t *testing.T) {
	if _, err := store.NewFallback(nil, store.FallbackOptions{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("NewFallback over nil: %v; want ErrInvalid", err)
	}
	if _, err := store.NewFallback(newMemory(t, memory.Options{}), store.FallbackOptions{Attempts: -1}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("NewFallback with Attempts -1: %v; want ErrInvalid", err)
	}
}

func TestFallbackConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		f, err := store.NewFallback(newMemory(t, memory.Options{Keep: c.Keep}), store.FallbackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return f
	})
}
