package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ncruces "github.com/ncruces/go-sqlite3"
	ncrucesdriver "github.com/ncruces/go-sqlite3/driver"
	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// A databaseDriver is a driver of SQLite that an application may use. They share no
// Go code, nor a form of their errors.
type databaseDriver struct {
	name string

	// open opens the file in WAL mode with the driver's own busy timeout. The
	// transactions that sql.DB.Begin begins take the write lock at once.
	open func(path string, busyTimeout time.Duration) (*sql.DB, error)

	// limit sets the size of the largest state that the connection takes.
	limit func(conn *sql.Conn, bytes int) error
}

var databaseDrivers = []databaseDriver{
	{
		name: "modernc",
		open: func(path string, busyTimeout time.Duration) (*sql.DB, error) {
			return sql.Open("sqlite", "file:"+path+"?"+url.Values{
				"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
				"_journal_mode": {"WAL"},
				"_txlock":       {"immediate"},
			}.Encode())
		},
		limit: func(conn *sql.Conn, bytes int) error {
			_, err := modernc.Limit(conn, sqlite3.SQLITE_LIMIT_LENGTH, bytes)
			return err
		},
	},
	{
		// SQLite compiled to WebAssembly and from that to Go, above a file system
		// layer written in Go: nothing of it is also in the first one.
		name: "ncruces",
		open: func(path string, busyTimeout time.Duration) (*sql.DB, error) {
			return sql.Open("sqlite3", "file:"+path+"?"+url.Values{
				"_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(wal)"},
				"_txlock": {"immediate"},
			}.Encode())
		},
		limit: func(conn *sql.Conn, bytes int) error {
			return conn.Raw(func(driver any) error {
				driver.(ncrucesdriver.Conn).Raw().Limit(ncruces.LIMIT_LENGTH, bytes)
				return nil
			})
		},
	},
}

// openNew opens a new file, to be closed at the end of the test.
func (d databaseDriver) openNew(t *testing.T, busyTimeout time.Duration) *sql.DB {
	t.Helper()
	db, err := d.open(filepath.Join(t.TempDir(), "application.db"), busyTimeout)
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

// onEachDriver runs the test on a new database of each driver.
func onEachDriver(t *testing.T, busyTimeout time.Duration, test func(t *testing.T, db *sql.DB)) {
	for _, d := range databaseDrivers {
		t.Run(d.name, func(t *testing.T) { test(t, d.openNew(t, busyTimeout)) })
	}
}

// newShared returns a store on db that is closed at the end of the test.
func newShared(t *testing.T, db *sql.DB, opts sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.New(t.Context(), db, opts)
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	return s
}

// TestConformanceOfOtherDrivers runs the contract over all but the first one, which
// is in TestConformance.
func TestConformanceOfOtherDrivers(t *testing.T) {
	for _, d := range databaseDrivers[1:] {
		t.Run(d.name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
				return openShared(t, d.openNew(t, 5*time.Second), sqlite.Options{Keep: c.Keep})
			})
		})
	}
}

func TestFailingPruneOfDrivers(t *testing.T) {
	for _, raise := range []string{"ABORT", "ROLLBACK"} {
		t.Run(raise, func(t *testing.T) {
			onEachDriver(t, 5*time.Second, func(t *testing.T, db *sql.DB) {
				storetest.RunFailingPrune(t, func(t *testing.T, keep int, onPruneError func(error)) (store.SnapshotStore, func(bool)) {
					s, err := sqlite.New(t.Context(), db, sqlite.Options{Keep: keep, OnPruneError: onPruneError})
					if err != nil {
						t.Fatal(err)
					}
					return s, func(fail bool) {
						if fail {
							mustExec(t, db, "CREATE TRIGGER no_delete BEFORE DELETE ON snapshots BEGIN SELECT RAISE("+raise+", 'not now'); END")
						} else {
							mustExec(t, db, "DROP TRIGGER no_delete")
						}
					}
				})
			})
		})
	}
}

// TestBesideAJournal has an application append events in transactions of its own
// while it saves snapshots, on one *sql.DB. None of its calls may fail.
func TestBesideAJournal(t *testing.T) {
	const entities, events, every = 8, 60, 10
	onEachDriver(t, 30*time.Second, func(t *testing.T, db *sql.DB) {
		mustExec(t, db, "CREATE TABLE journal (pid TEXT, seq INTEGER, event BLOB, PRIMARY KEY (pid, seq))")
		s := newShared(t, db, sqlite.Options{Keep: 2, OnPruneError: func(err error) { t.Error(err) }})
		appendEvent := func(tx *sql.Tx, id string, nr uint64) error {
			var last sql.NullInt64
			if err := tx.QueryRow("SELECT max(seq) FROM journal WHERE pid = ?", id).Scan(&last); err != nil {
				return err
			}
			if last.Int64 != int64(nr)-1 {
				return fmt.Errorf("the journal of %s ends at %d; want %d", id, last.Int64, nr-1)
			}
			_, err := tx.Exec("INSERT INTO journal VALUES (?, ?, ?)", id, int64(nr), []byte("event"))
			return err
		}
		var wg sync.WaitGroup
		for entity := range entities {
			wg.Go(func() {
				id := fmt.Sprint("order-", entity)
				for nr := uint64(1); nr <= events; nr++ {
					tx, err := db.Begin()
					if err != nil {
						t.Error(err)
						return
					}
					if err := appendEvent(tx, id, nr); err != nil {
						t.Error(errors.Join(err, tx.Rollback()))
						return
					}
					if err := tx.Commit(); err != nil {
						t.Error(err)
						return
					}
					if nr%every != 0 {
						continue
					}
					if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: fmt.Append(nil, nr)}); err != nil {
						t.Error(err)
						return
					}
					if snap, err := s.LoadLatest(t.Context(), id); err != nil || snap.SequenceNr != nr {
						t.Errorf("LoadLatest(%q) gave %d, %v; want %d", id, snap.SequenceNr, err, nr)
					}
				}
			})
		}
		wg.Wait()
		var written int
		if err := db.QueryRow("SELECT count(*) FROM journal").Scan(&written); err != nil || written != entities*events {
			t.Errorf("the journal has %d events, %v; want %d", written, err, entities*events)
		}
		if err := db.QueryRow("SELECT count(*) FROM snapshots").Scan(&written); err != nil || written != entities*2 {
			t.Errorf("there are %d snapshots, %v; want %d", written, err, entities*2)
		}
	})
}

// TestSavesWaitForTransactions holds the write lock while saves, deletes and loads
// begin, on databases whose driver does not wait at all: that a lock is held must be
// recognised in the error of each.
func TestSavesWaitForTransactions(t *testing.T) {
	onEachDriver(t, 0, func(t *testing.T, db *sql.DB) {
		mustExec(t, db, "CREATE TABLE journal (seq INTEGER)")
		s := newShared(t, db, sqlite.Options{BusyTimeout: time.Minute})
		save(t, s, "order-1", 1, "one")
		save(t, s, "order-2", 1, "one")
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("INSERT INTO journal VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		wantLatest(t, s, "order-1", 1, "one") // loads do not wait

		// Another store on the same database has no patience.
		impatient := newShared(t, db, sqlite.Options{BusyTimeout: time.Millisecond})
		err = impatient.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 9})
		if err == nil || !strings.Contains(err.Error(), `save "order-1" at 9: `) || !strings.Contains(err.Error(), "database is locked") {
			t.Errorf("Save beyond its BusyTimeout: %v; want an error that says database is locked", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := s.Save(ctx, store.Snapshot{PersistenceID: "order-1", SequenceNr: 9}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Save whose context ends while it waits: %v; want DeadlineExceeded", err)
		}

		var wg sync.WaitGroup
		for nr := uint64(2); nr <= 5; nr++ {
			wg.Go(func() {
				if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: nr, State: []byte("waited")}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := s.Delete(t.Context(), "order-2", 1); err != nil {
				t.Error(err)
			}
		})
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		wantLatest(t, s, "order-1", 5, "waited")
		if _, err := s.LoadLatest(t.Context(), "order-2"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("LoadLatest after Delete: %v; want ErrNotFound", err)
		}
	})
}

// TestErrorsOfDrivers makes SQLite fail in the ways that have a meaning in the
// contract.
func TestErrorsOfDrivers(t *testing.T) {
	for _, d := range databaseDrivers {
		t.Run(d.name, func(t *testing.T) {
			db := d.openNew(t, time.Second)
			db.SetMaxOpenConns(1) // the limit is a connection's
			s := newShared(t, db, sqlite.Options{})
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// 100 KB instead of the 1 GB that SQLite takes by default.
			if err := errors.Join(d.limit(conn, 100_000), conn.Close()); err != nil {
				t.Fatal(err)
			}
			err = s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", State: make([]byte, 100_001)})
			if !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("Save of more than SQLite takes: %v; want ErrTooLarge", err)
			}
			mustExec(t, db, "CREATE TRIGGER no_insert BEFORE INSERT ON snapshots WHEN NEW.pid = 'order-2' BEGIN SELECT RAISE(ABORT, 'order-2 is not to be saved'); END")
			err = s.Save(t.Context(), store.Snapshot{PersistenceID: "order-2", SequenceNr: 7})
			if err == nil || !strings.Contains(err.Error(), `save "order-2" at 7: `) || !strings.Contains(err.Error(), "is not to be saved") {
				t.Errorf("Save against a constraint: %v; want an error that names it", err)
			}
			save(t, s, "order-1", 1, "one")
			wantLatest(t, s, "order-1", 1, "one")
		})
	}
}

// TestOneDriverReadsWhatTheOtherWrote, one after the other: their locks need not know
// each other within one process.
func TestOneDriverReadsWhatTheOtherWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	for nr := range 4 {
		db, err := databaseDrivers[nr%2].open(path, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sqlite.New(t.Context(), db, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if nr > 0 {
			wantLatest(t, s, "order-1", uint64(nr-1), fmt.Sprint(nr-1))
		}
		save(t, s, "order-1", uint64(nr), fmt.Sprint(nr))
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamageOnEachDriver has SQLite say in each of its ways that the file is damaged.
func TestDamageOnEachDriver(t *testing.T) {
	intact := intactFile(t)
	latest := intactSnapshots()[9]
	for name, damage := range map[string]func(data []byte){
		"row":    func(data []byte) { clear(data[bytes.Index(data, latest.State[:100])-100:][:100]) },
		"schema": func(data []byte) { copy(data[bytes.Index(data, []byte("CREATE TABLE")):], "CREATE (((((") },
		"header": func(data []byte) { clear(data[:16]) },
	} {
		for _, d := range databaseDrivers {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				data := bytes.Clone(intact)
				damage(data)
				path := filepath.Join(t.TempDir(), "damaged.db")
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				db, err := d.open(path, time.Second)
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close() // it may fail: the file is damaged
				s, err := sqlite.New(t.Context(), db, sqlite.Options{})
				if err == nil {
					defer s.Close()
					_, err = s.LoadLatest(t.Context(), latest.PersistenceID)
				}
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("%v; want ErrCorrupt", err)
				}
			})
		}
	}
}
