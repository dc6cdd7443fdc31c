package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string, opts Options) *Store {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return open(t, t.TempDir(), Options{Keep: c.Keep})
	})
}

func TestFailingPrune(t *testing.T) {
	storetest.RunFailingPrune(t, func(t *testing.T, keep int, onPruneError func(error)) (store.SnapshotStore, func(bool)) {
		var failing atomic.Bool
		s := open(t, t.TempDir(), Options{Keep: keep, OnPruneError: onPruneError})
		s.remove = func(path string) error {
			if failing.Load() {
				return fs.ErrPermission
			}
			return os.Remove(path)
		}
		return s, failing.Store
	})
}

func TestWhatWasSavedIsThereAfterAReopen(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, Options{})
	if err := first.Save(t.Context(), store.Snapshot{PersistenceID: "order-42", SequenceNr: 7, State: []byte("paid")}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves of a Save: it is neither loaded nor listed.
	if err := os.WriteFile(filepath.Join(first.folder("order-42"), "new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir, Options{})
	snap, err := second.LoadLatest(t.Context(), "order-42")
	if err != nil || snap.SequenceNr != 7 || string(snap.State) != "paid" {
		t.Errorf("LoadLatest = %v, %v; want what was saved", snap, err)
	}
}

// Every bit of a file counts, and the error names the snapshot, so that a Fallback finds
// the one before.
func TestDamageIsCorrupt(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for nr := range uint64(2) {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-42", SequenceNr: nr, State: []byte("state")}); err != nil {
			t.Fatal(err)
		}
	}
	path := file(s.folder("order-42"), 1)
	intact, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, at int, damaged []byte) {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		var named *store.Error
		if snap, err := s.LoadLatest(t.Context(), "order-42"); !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.SequenceNr != 1 {
			t.Errorf("%s at %d: %v, %v; want ErrCorrupt of number 1", what, at, snap, err)
		}
	}
	for i := range intact {
		check("cut", i, intact[:i])
		flipped := append([]byte(nil), intact...)
		flipped[i] ^= 1
		check("flipped", i, flipped)
	}
	fallback, err := store.NewFallback(s, store.FallbackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if snap, err := fallback.LoadLatest(t.Context(), "order-42"); err != nil || snap.SequenceNr != 0 {
		t.Errorf("Fallback gives %v, %v; want the snapshot before", snap, err)
	}
}

func TestBadOptions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := Open(dir, Options{Keep: -1}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Open: %v; want ErrInvalid", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was created all the same: %v", err)
	}
}
