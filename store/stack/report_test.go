package stack_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

// logged returns what is logged while use runs, on slog's default logger.
func logged(t *testing.T, use func()) string {
	t.Helper()
	var out bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	use()
	return out.String()
}

func saveNumbers(t *testing.T, s store.SnapshotStore, numbers ...uint64) {
	t.Helper()
	for _, nr := range numbers {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: nr, State: []byte("state")}); err != nil {
			t.Fatal(err)
		}
	}
}

func openStack(t *testing.T, text string) store.SnapshotStore {
	t.Helper()
	s, err := stack.Open(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestFallbackFromTextReportsWhatItPassesOver(t *testing.T) {
	dir := t.TempDir()
	s := openStack(t, fmt.Sprintf("fallback | objectstore(url=%q)", "file://"+filepath.ToSlash(dir)))
	saveNumbers(t, s, 3, 7)
	newest := filepath.Join(dir, "order-1", fmt.Sprintf("%016x", uint64(store.MaxSequenceNr-7)))
	if err := os.WriteFile(newest, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := logged(t, func() {
		if snap, err := s.LoadLatest(t.Context(), "order-1"); err != nil || snap.SequenceNr != 3 {
			t.Errorf("LoadLatest = %v, %v; want the one before", snap, err)
		}
	})
	if !strings.Contains(out, "level=ERROR") || !strings.Contains(out, "persistence_id=order-1 sequence_nr=7") {
		t.Errorf("logged is %q; want the one passed over", out)
	}
}

func TestBackendFromTextReportsWhatItCouldNotPrune(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	s := openStack(t, fmt.Sprintf("sqlite(path=%q,keep=1)", path))
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("CREATE TRIGGER no_delete BEFORE DELETE ON snapshots BEGIN SELECT RAISE(ABORT, 'not now'); END")
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := logged(t, func() { saveNumbers(t, s, 3, 7) })
	if !strings.Contains(out, "level=ERROR") || !strings.Contains(out, "order-1") || !strings.Contains(out, "not now") {
		t.Errorf("logged is %q; want why nothing was pruned", out)
	}
}
