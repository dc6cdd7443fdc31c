package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// TestNoIDIsGivenTheStateOfAnother alters, one after the other, every byte in which an
// id stands in the file, in the table or its index, so that it is another id's.
func TestNoIDIsGivenTheStateOfAnother(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "intact.db")
	s := openFile(t, path, sqlite.Options{})
	const ids = 8
	for i := range ids {
		save(t, s, fmt.Sprint("order-", i), 1, fmt.Sprint("state of ", i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	intact, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mixedUp := 0
	for at := 0; ; at++ {
		next := bytes.Index(intact[at:], []byte("order-"))
		if next < 0 {
			break
		}
		at += next
		for bit := range 3 { // 0 to 7 become each other
			damaged := bytes.Clone(intact)
			damaged[at+len("order-")] ^= 1 << bit
			name := filepath.Join(dir, fmt.Sprintf("%d-%d.db", at, bit))
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			for way, open := range map[string]func() store.SnapshotStore{
				"Open": func() store.SnapshotStore { return openFile(t, name, sqlite.Options{}) },
				"New":  func() store.SnapshotStore { return openShared(t, openFileDB(t, name), sqlite.Options{}) },
			} {
				s := open()
				for i := range ids {
					id := fmt.Sprint("order-", i)
					snap, err := s.LoadLatest(t.Context(), id)
					var named *store.Error
					switch {
					case errors.Is(err, store.ErrNotFound):
					case errors.Is(err, store.ErrCorrupt):
						if mixedUp++; !errors.As(err, &named) || named.SequenceNr != 1 {
							t.Errorf("%v; want the number of the snapshot", err)
						}
					case err != nil:
						t.Error(err)
					case string(snap.State) != fmt.Sprint("state of ", i):
						t.Errorf("%s, byte %d, bit %d: %s has %q", way, at, bit, id, snap.State)
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if mixedUp == 0 {
		t.Error("nothing was found to be mixed up")
	}
}

// A table without rowids has no index beside it, and works as well.
func TestTablesWithoutRowids(t *testing.T) {
	db := openFileDB(t, filepath.Join(t.TempDir(), "other.db"))
	mustExec(t, db, "CREATE TABLE snapshots (pid TEXT NOT NULL, seq INTEGER NOT NULL, state BLOB NOT NULL, ts INTEGER NOT NULL, PRIMARY KEY (pid, seq)) WITHOUT ROWID")
	s := openShared(t, db, sqlite.Options{Keep: 2})
	closeStore(t, s)
	for nr := range uint64(4) {
		save(t, s, "order-1", nr, fmt.Sprint(nr))
	}
	wantLatest(t, s, "order-1", 3, "3")
}
