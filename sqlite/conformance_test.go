package sqlite_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for name, open := range map[string]storetest.Open{
		"File": func(t *testing.T, c storetest.Config) store.SnapshotStore {
			return openFile(t, filepath.Join(t.TempDir(), "snapshots.db"), sqlite.Options{Keep: c.Keep})
		},
		"RollbackJournal": func(t *testing.T, c storetest.Config) store.SnapshotStore {
			return openFile(t, filepath.Join(t.TempDir(), "snapshots.db"), sqlite.Options{Keep: c.Keep, JournalMode: sqlite.Truncate, Synchronous: sqlite.Normal})
		},
		"Memory": func(t *testing.T, c storetest.Config) store.SnapshotStore {
			return openFile(t, ":memory:", sqlite.Options{Keep: c.Keep})
		},
		"Shared": func(t *testing.T, c storetest.Config) store.SnapshotStore {
			return openShared(t, openDB(t), sqlite.Options{Keep: c.Keep, Table: "entity_snapshots"})
		},
		"SharedSingleConnection": func(t *testing.T, c storetest.Config) store.SnapshotStore {
			db := openDB(t)
			db.SetMaxOpenConns(1)
			return openShared(t, db, sqlite.Options{Keep: c.Keep})
		},
	} {
		t.Run(name, func(t *testing.T) { storetest.Run(t, open) })
	}
}

// TestFailingPrune makes DELETE fail by a trigger, first in the mild way, which
// takes back the statement, and then so that the transaction is gone.
func TestFailingPrune(t *testing.T) {
	for _, raise := range []string{"ABORT", "ROLLBACK"} {
		t.Run(raise, func(t *testing.T) {
			storetest.RunFailingPrune(t, func(t *testing.T, keep int, onPruneError func(error)) (store.SnapshotStore, func(bool)) {
				path := filepath.Join(t.TempDir(), "snapshots.db")
				s := openFile(t, path, sqlite.Options{Keep: keep, OnPruneError: onPruneError})
				db := openFileDB(t, path)
				return s, func(fail bool) {
					statement := "DROP TRIGGER no_delete"
					if fail {
						statement = "CREATE TRIGGER no_delete BEFORE DELETE ON snapshots BEGIN SELECT RAISE(" + raise + ", 'not now'); END"
					}
					if _, err := db.Exec(statement); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}

func openFile(t *testing.T, path string, opts sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openShared returns a store on db that closes db as well, for the clause that
// looks for goroutines after Close.
func openShared(t *testing.T, db *sql.DB, opts sqlite.Options) store.SnapshotStore {
	t.Helper()
	s, err := sqlite.New(t.Context(), db, opts)
	if err != nil {
		t.Fatal(err)
	}
	return &withDB{Store: s, db: db}
}

type withDB struct {
	*sqlite.Store
	db *sql.DB
}

func (w *withDB) Close() error { return errors.Join(w.Store.Close(), w.db.Close()) }

// openDB opens a new database as an application would, without the store.
func openDB(t *testing.T) *sql.DB {
	t.Helper()
	return openFileDB(t, filepath.Join(t.TempDir(), "application.db"))
}

func openFileDB(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_journal_mode=WAL&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// closeStore closes s at the end of the test.
func closeStore(t *testing.T, s store.SnapshotStore) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
