package encrypt_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/snapstack/snapstack/encrypt"
	"github.com/snapstack/snapstack/store"
)

// FuzzLoad gives a load anything for a stored state: it never panics, and never takes
// for a state what was not saved.
func FuzzLoad(f *testing.F) {
	inner := newMemory(f, 0)
	seal, migrate := options(1, 2), options(1, 2)
	migrate.Migrate = true
	strict, lax := mustNew(f, inner, seal), mustNew(f, inner, migrate)
	snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: 5, Timestamp: time.UnixMilli(1000), State: []byte("state")}
	sealed := map[string]bool{}
	for _, mode := range []encrypt.Mode{encrypt.Seal, encrypt.Sign} {
		opts := options(1, 2)
		opts.Mode, opts.Rand = mode, fixedRand{} // the same in every process that fuzzes
		if err := mustNew(f, inner, opts).Save(f.Context(), snap); err != nil {
			f.Fatal(err)
		}
		blob, err := inner.LoadLatest(f.Context(), "order-1")
		if err != nil {
			f.Fatal(err)
		}
		sealed[string(blob.State)] = true
		for n := range len(blob.State) + 1 {
			f.Add(blob.State[:n])
		}
	}
	f.Add([]byte("a plain state"))
	f.Fuzz(func(t *testing.T, blob []byte) {
		stored := snap
		stored.State = blob
		if err := inner.Save(t.Context(), stored); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*encrypt.Store{strict, lax} {
			got, err := s.LoadLatest(t.Context(), "order-1")
			switch {
			case err != nil:
				if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("LoadLatest: %v; want ErrCorrupt or ErrUnsupported", err)
				}
			case sealed[string(blob)]:
				if string(got.State) != "state" {
					t.Errorf("LoadLatest = %q", got.State)
				}
			case s == strict:
				t.Errorf("LoadLatest of what nobody sealed = %q", got.State)
			case !bytes.Equal(got.State, blob):
				t.Errorf("LoadLatest of a plain state = %q; want %q", got.State, blob)
			}
		}
	})
}

// FuzzRoundTrip saves anything and loads it again.
func FuzzRoundTrip(f *testing.F) {
	f.Add("order-1", uint64(5), int64(1000), []byte("state"), false)
	f.Add("é", uint64(0), int64(-1), []byte(nil), true)
	inner := newMemory(f, 1)
	sign := options(1)
	sign.Mode = encrypt.Sign
	stores := map[bool]*encrypt.Store{false: mustNew(f, inner, options(1)), true: mustNew(f, inner, sign)}
	f.Fuzz(func(t *testing.T, id string, nr uint64, ms int64, state []byte, signed bool) {
		snap := store.Snapshot{PersistenceID: id, SequenceNr: nr, Timestamp: time.UnixMilli(ms), State: state}
		if store.CheckSave(snap) != nil {
			t.Skip()
		}
		s := stores[signed]
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
		got, err := s.LoadBefore(t.Context(), id, nr+1)
		if err != nil || got.SequenceNr != nr || !bytes.Equal(got.State, state) {
			t.Errorf("LoadBefore = %+v, %v; want %+v", got, err, snap)
		}
	})
}
