package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

const seedSchema = `CREATE TABLE snapshots (pid TEXT NOT NULL, seq INTEGER NOT NULL,
    state BLOB NOT NULL, ts INTEGER NOT NULL, PRIMARY KEY (pid, seq))`

func mustExec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func save(t *testing.T, s store.SnapshotStore, id string, nr uint64, state string) {
	t.Helper()
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: []byte(state)}); err != nil {
		t.Fatal(err)
	}
}

func wantLatest(t *testing.T, s store.SnapshotStore, id string, nr uint64, state string) {
	t.Helper()
	snap, err := s.LoadLatest(t.Context(), id)
	if err != nil || snap.SequenceNr != nr || string(snap.State) != state {
		t.Fatalf("LoadLatest(%q) gave %q at %d, %v; want %q at %d", id, snap.State, snap.SequenceNr, err, state, nr)
	}
}

func TestSnapshotsAreThereAfterReopening(t *testing.T) {
	// Paths are URIs on the way to SQLite, in which these characters mean something.
	for _, name := range []string{"snapshots.db", "a b.db", "a?b=c.db", "a#b.db", "a%20b.db", "a%b.db", "a&b;c.db", "ä'\".db", "file:a.db", ":memory:.db"} {
		path := "/" + filepath.Join(t.TempDir(), name) // two slashes mean a host in a URI
		for nr := uint64(1); nr <= 3; nr++ {
			s := openFile(t, path, sqlite.Options{})
			if nr > 1 {
				wantLatest(t, s, "order-1", nr-1, fmt.Sprint(nr-1))
			}
			save(t, s, "order-1", nr, fmt.Sprint(nr))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Fatalf("after a Save to %q: %v", name, err)
			}
		}
	}
}

func TestOpenTakesRelativePaths(t *testing.T) {
	t.Chdir(t.TempDir())
	s := openFile(t, "snapshots.db", sqlite.Options{})
	save(t, s, "order-1", 1, "one")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("snapshots.db"); err != nil {
		t.Error(err)
	}
}

func TestFilesOfOtherProgramsOpen(t *testing.T) {
	check := func(t *testing.T, path string) {
		s := openFile(t, path, sqlite.Options{})
		closeStore(t, s)
		wantLatest(t, s, "order-1", 7, "seven")
		snap, err := s.LoadBefore(t.Context(), "order-1", 7)
		if err != nil || string(snap.State) != "text" || !snap.Timestamp.Equal(time.UnixMilli(1500)) {
			t.Errorf("LoadBefore gave %q taken %v, %v; want the bytes of the TEXT, and 1500 ms", snap.State, snap.Timestamp, err)
		}
		save(t, s, "order-1", 8, "eight")
		wantLatest(t, s, "order-1", 8, "eight")
	}
	rows := `INSERT INTO snapshots VALUES ('order-1', 7, X'736576656e', 2500), ('order-1', 6, 'text', 1500)`
	t.Run("driver", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "seed.db")
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, seedSchema)
		mustExec(t, db, rows)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		check(t, path)
	})
	t.Run("sqlite3", func(t *testing.T) {
		if _, err := exec.LookPath("sqlite3"); err != nil {
			t.Skip("no sqlite3 command")
		}
		path := filepath.Join(t.TempDir(), "seed.db")
		if out, err := exec.Command("sqlite3", path, seedSchema+";"+rows).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		check(t, path)
		out, err := exec.Command("sqlite3", path, "PRAGMA integrity_check; SELECT pid, seq, CAST(state AS TEXT) FROM snapshots ORDER BY seq DESC LIMIT 1").CombinedOutput()
		if err != nil || string(out) != "ok\norder-1|8|eight\n" {
			t.Errorf("sqlite3 reads %q, %v of what the store wrote", out, err)
		}
	})
}

// TestStrangeRows reads what other programs can write into the table, which takes
// values of any class (https://sqlite.org/datatype3.html).
func TestStrangeRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strange.db")
	db := openFileDB(t, path)
	mustExec(t, db, seedSchema)
	mustExec(t, db, `INSERT INTO snapshots VALUES
		('negative', -5, X'00', 0), ('', 1, X'00', 0), ('text seq', 'x', X'00', 0),
		('real', 1.5, X'00', 0), ('real', 1, X'01', 0),
		('number', 4, X'34', 0), ('number', 5, 42, 0),
		('time', 1, X'00', 'yesterday'), ('fraction', 1, X'00', 1.5), ('far', 1, X'00', 9223372036854775807),
		(CAST(X'61FF' AS TEXT), 1, X'00', 0)`)
	// More than a page of ids that are no text; these stand behind all others.
	mustExec(t, db, `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 1299)
		INSERT INTO snapshots SELECT X'62', i, X'00', 0 FROM n`)
	s := openFile(t, path, sqlite.Options{})
	closeStore(t, s)

	for _, id := range []string{"negative", "text seq", "b"} {
		if _, err := s.LoadLatest(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("LoadLatest(%q): %v; want ErrNotFound", id, err)
		}
	}
	wantLatest(t, s, "real", 1, "\x01")
	wantLatest(t, s, "far", 1, "\x00")
	for id, nr := range map[string]uint64{"number": 5, "time": 1, "fraction": 1} {
		var named *store.Error
		_, err := s.LoadLatest(t.Context(), id)
		if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.SequenceNr != nr {
			t.Errorf("LoadLatest(%q): %v; want ErrCorrupt at %d", id, err, nr)
		}
		_, err = s.LoadBefore(t.Context(), id, 9)
		if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.SequenceNr != nr {
			t.Errorf("LoadBefore(%q, 9): %v; want ErrCorrupt at %d", id, err, nr)
		}
	}
	var listed []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, fmt.Sprint(info.PersistenceID, "@", info.SequenceNr))
		if len(listed) > 100 {
			t.Fatalf("List goes on and on: %q", listed)
		}
	}
	if got, want := strings.Join(listed, " "), "far@1 fraction@1 number@5 number@4 real@1 time@1"; got != want {
		t.Errorf("List yielded %q; want %q", got, want)
	}

	// And they are left alone.
	for _, id := range []string{"negative", "real", "text seq"} {
		if err := s.Delete(t.Context(), id, store.MaxSequenceNr); err != nil {
			t.Error(err)
		}
	}
	var left int
	if err := db.QueryRow("SELECT count(*) FROM snapshots WHERE pid IN ('negative', 'real', 'text seq')").Scan(&left); err != nil || left != 3 {
		t.Errorf("%d of 3 strange rows are left after a Delete, %v", left, err)
	}
}

// TestOpenRefuses reads the errors aloud, and checks that nothing was made or
// changed.
func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		path  func(t *testing.T, dir string) string
		opts  sqlite.Options
		says  string
		plain bool // not ErrInvalid: the world is wrong, not the argument
	}{
		"empty path":      {func(*testing.T, string) string { return "" }, sqlite.Options{}, "path: empty", false},
		"NUL":             {func(_ *testing.T, dir string) string { return dir + "/a\x00b" }, sqlite.Options{}, "NUL", false},
		"folder":          {func(_ *testing.T, dir string) string { return dir }, sqlite.Options{}, "it is no file", false},
		"folder missing":  {func(_ *testing.T, dir string) string { return filepath.Join(dir, "no", "snapshots.db") }, sqlite.Options{}, "the folder must exist", true},
		"file for folder": {func(t *testing.T, dir string) string { return filepath.Join(file(t, dir, "x"), "snapshots.db") }, sqlite.Options{}, "is no folder", false},
		"no database":     {func(t *testing.T, dir string) string { return file(t, dir, strings.Repeat("no database ", 100)) }, sqlite.Options{}, "file is not a database", true},
		"short file":      {func(t *testing.T, dir string) string { return file(t, dir, "x") }, sqlite.Options{}, "file is not a database", true},
		"other columns": {database("CREATE TABLE snapshots (pid TEXT NOT NULL, seq TEXT NOT NULL, body BLOB, ts INTEGER NOT NULL, PRIMARY KEY (pid, seq))"), sqlite.Options{},
			`Table "snapshots": it exists and is no table of snapshots: there is a column seq TEXT NOT NULL (2 in the primary key) instead of seq INTEGER NOT NULL (2 in the primary key), the column state BLOB NOT NULL is missing, there is a column body BLOB that is not known`, false},
		"no key": {database("CREATE TABLE snapshots (pid TEXT NOT NULL, seq INTEGER NOT NULL, state BLOB NOT NULL, ts INTEGER NOT NULL)"), sqlite.Options{}, "there is a column pid TEXT NOT NULL instead of pid TEXT NOT NULL (1 in the primary key)", false},
		"collation": {database("CREATE TABLE snapshots (pid TEXT NOT NULL COLLATE NOCASE, seq INTEGER NOT NULL, state BLOB NOT NULL, ts INTEGER NOT NULL, PRIMARY KEY (pid, seq))"), sqlite.Options{},
			"there is a column pid TEXT NOT NULL COLLATE NOCASE (1 in the primary key) instead of pid TEXT NOT NULL (1 in the primary key)", false},
		"view":            {database("CREATE VIEW Snapshots AS SELECT 1"), sqlite.Options{}, "it is the name of a view", false},
		"Table":           {snapshotsDB, sqlite.Options{Table: `a"b`}, `Table "a\"b"; allowed are a letter or _`, false},
		"Table of SQLite": {snapshotsDB, sqlite.Options{Table: "SQLite_master"}, `Table "SQLite_master"; allowed are`, false},
		"JournalMode":     {snapshotsDB, sqlite.Options{JournalMode: "off"}, `JournalMode "OFF"; allowed are [WAL DELETE TRUNCATE PERSIST]`, false},
		"Synchronous":     {snapshotsDB, sqlite.Options{Synchronous: "2"}, `Synchronous "2"; allowed are [OFF NORMAL FULL EXTRA]`, false},
		"BusyTimeout":     {snapshotsDB, sqlite.Options{BusyTimeout: -1}, "BusyTimeout -1ns; allowed are 0 (for 5s) and more", false},
		"PageSize":        {snapshotsDB, sqlite.Options{PageSize: 1000}, "PageSize 1000; allowed are 0 (for 8192) and the powers of two from 512 to 65536", false},
		"PageSize 256":    {snapshotsDB, sqlite.Options{PageSize: 256}, "PageSize 256; allowed are", false},
		"PageSize 128K":   {snapshotsDB, sqlite.Options{PageSize: 128 << 10}, "PageSize 131072; allowed are", false},
		"PageSize -512":   {snapshotsDB, sqlite.Options{PageSize: -512}, "PageSize -512; allowed are", false},
		"CheckpointBytes": {snapshotsDB, sqlite.Options{CheckpointBytes: 1}, "CheckpointBytes 1; allowed are 0 (for 4194304) and 65536 to 1073741824", false},
		"MaxStateBytes":   {snapshotsDB, sqlite.Options{MaxStateBytes: -1}, "MaxStateBytes -1; allowed are 0 (for 999997952) to 999997952", false},
		"MaxStateBytes+":  {snapshotsDB, sqlite.Options{MaxStateBytes: 1 << 30}, "MaxStateBytes 1073741824; allowed are", false},
		"Keep":            {snapshotsDB, sqlite.Options{Keep: -1}, "Keep -1; allowed are 0 (all) and more", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := c.path(t, dir)
			before := contents(t, dir)
			s, err := sqlite.Open(t.Context(), path, c.opts)
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, store.ErrInvalid) == c.plain {
				t.Errorf("Open: %v\nwant an error that says %s, matching ErrInvalid: %v", err, c.says, !c.plain)
			}
			if strings.Count(fmt.Sprint(err), "sqlite:") != 1 {
				t.Errorf("Open: %v\nwhich does not name the package, once", err)
			}
			if path != "" && reflect.ValueOf(c.opts).IsZero() && !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) {
				t.Errorf("Open: %v\nwhich does not name %q", err, path)
			}
			if after := contents(t, dir); after != before {
				t.Errorf("Open left behind\n%s\nwhere was\n%s", after, before)
			}
		})
	}
}

func snapshotsDB(_ *testing.T, dir string) string { return filepath.Join(dir, "snapshots.db") }

func file(t *testing.T, dir, content string) string {
	t.Helper()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func database(schema string) func(t *testing.T, dir string) string {
	return func(t *testing.T, dir string) string {
		t.Helper()
		path := snapshotsDB(t, dir)
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, schema)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// contents describes the files of dir with what is in them.
func contents(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %q\n", e.Name(), data)
	}
	return b.String()
}

func TestNewRefuses(t *testing.T) {
	for says, new := range map[string]func() (*sqlite.Store, error){
		"db: nil": func() (*sqlite.Store, error) { return sqlite.New(t.Context(), nil, sqlite.Options{}) },
		"must be empty": func() (*sqlite.Store, error) {
			return sqlite.New(t.Context(), openDB(t), sqlite.Options{JournalMode: sqlite.WAL})
		},
		"PageSize 4096": func() (*sqlite.Store, error) {
			return sqlite.New(t.Context(), openDB(t), sqlite.Options{PageSize: 4096})
		},
		"CheckpointBytes 65536": func() (*sqlite.Store, error) {
			return sqlite.New(t.Context(), openDB(t), sqlite.Options{CheckpointBytes: 65536})
		},
		`Synchronous "FULL"`: func() (*sqlite.Store, error) {
			return sqlite.New(t.Context(), openDB(t), sqlite.Options{Synchronous: sqlite.Full})
		},
	} {
		if _, err := new(); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("New: %v; want ErrInvalid that says %s", err, says)
		}
	}
}

func TestNewLeavesTheDatabaseOpen(t *testing.T) {
	db := openDB(t)
	mustExec(t, db, "CREATE TABLE journal (pid TEXT, seq INTEGER, event BLOB)")
	s, err := sqlite.New(t.Context(), db, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	save(t, s, "order-1", 1, "one")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, "INSERT INTO journal VALUES ('order-1', 2, X'00')")
}

// TestSavesWaitForTheApplicationsTransactions holds the write lock while a Save
// begins: with the driver's own busy timeout, and on a database that has none.
func TestSavesWaitForTheApplicationsTransactions(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, path string) store.SnapshotStore{
		"Open": func(t *testing.T, path string) store.SnapshotStore { return openFile(t, path, sqlite.Options{}) },
		"New": func(t *testing.T, path string) store.SnapshotStore {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			return openShared(t, db, sqlite.Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shared.db")
			application := openFileDB(t, path)
			mustExec(t, application, "CREATE TABLE journal (seq INTEGER)")
			s := open(t, path)
			closeStore(t, s)
			save(t, s, "order-1", 1, "one")
			tx, err := application.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec("INSERT INTO journal VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			wantLatest(t, s, "order-1", 1, "one") // reads do not wait for the writer

			impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			err = s.Save(impatient, store.Snapshot{PersistenceID: "order-1", SequenceNr: 9})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Save whose context ends while it waits for the lock: %v; want DeadlineExceeded", err)
			}

			var saves sync.WaitGroup
			for nr := uint64(2); nr <= 5; nr++ {
				saves.Go(func() { save(t, s, "order-1", nr, "waited") })
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			saves.Wait()
			wantLatest(t, s, "order-1", 5, "waited")
		})
	}
}

// TestSavesBesideAJournal has an application write to the same file without a pause,
// in transactions that read first and write then. SQLite knows no fairness: a Save
// waits until it happens to come between two of them.
func TestSavesBesideAJournal(t *testing.T) {
	opts := sqlite.Options{Keep: 2, BusyTimeout: time.Minute}
	for name, open := range map[string]func(t *testing.T, path string) store.SnapshotStore{
		"Open": func(t *testing.T, path string) store.SnapshotStore { return openFile(t, path, opts) },
		"New": func(t *testing.T, path string) store.SnapshotStore {
			return openShared(t, openFileDB(t, path), opts)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "shared.db")
			application := openFileDB(t, path)
			mustExec(t, application, "CREATE TABLE journal (seq INTEGER)")
			s := open(t, path)
			closeStore(t, s)
			done := make(chan struct{})
			var wg, saves sync.WaitGroup
			wg.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					if _, err := application.Exec("BEGIN IMMEDIATE; SELECT count(*) FROM journal; INSERT INTO journal VALUES (?); COMMIT", n); err != nil {
						t.Errorf("the application: %v", err)
						return
					}
				}
			})
			for i := range 4 {
				saves.Go(func() {
					for nr := range uint64(20) {
						if err := s.Save(t.Context(), store.Snapshot{PersistenceID: fmt.Sprint(i), SequenceNr: nr, State: []byte("x")}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			saves.Wait()
			close(done)
			wg.Wait()
			for i := range 4 {
				wantLatest(t, s, fmt.Sprint(i), 19, "x")
			}
		})
	}
}

// TestLoadsBehindALockObeyTheirContext needs a rollback journal, where who writes shuts
// readers out.
func TestLoadsBehindALockObeyTheirContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	s := openFile(t, path, sqlite.Options{JournalMode: sqlite.Delete})
	closeStore(t, s)
	save(t, s, "order-1", 1, "one")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	mustExec(t, db, "BEGIN EXCLUSIVE")
	for name, load := range map[string]func(ctx context.Context) error{
		"LoadLatest": func(ctx context.Context) error { _, err := s.LoadLatest(ctx, "order-1"); return err },
		"LoadBefore": func(ctx context.Context) error { _, err := s.LoadBefore(ctx, "order-1", 9); return err },
		"ViewLatest": func(ctx context.Context) error {
			return s.ViewLatest(ctx, "order-1", func(store.Snapshot) error { return nil })
		},
		"List": func(ctx context.Context) error {
			for _, err := range s.List(ctx, "") {
				return err
			}
			return nil
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		start := time.Now()
		if err := load(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s behind an exclusive lock: %v; want DeadlineExceeded", name, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %v to see its context end", name, took)
		}
		cancel()
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := s.LoadLatest(t.Context(), "order-1")
		loaded <- err
	}()
	mustExec(t, db, "ROLLBACK")
	if err := <-loaded; err != nil {
		t.Errorf("a load when the lock is free again: %v", err)
	}
}

// TestPageSize looks at a new file and at one that is there.
func TestPageSize(t *testing.T) {
	for name, c := range map[string]struct {
		option, want int
		there        bool
	}{
		"default":  {0, 8192, false},
		"smallest": {512, 512, false},
		"largest":  {65536, 65536, false},
		"existing": {16384, 1024, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "snapshots.db")
			if c.there {
				db, err := sql.Open("sqlite", path)
				if err != nil {
					t.Fatal(err)
				}
				mustExec(t, db, "PRAGMA page_size = 1024; "+seedSchema)
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s := openFile(t, path, sqlite.Options{PageSize: c.option})
			closeStore(t, s)
			save(t, s, "order-1", 1, strings.Repeat("x", 100_000))
			wantLatest(t, s, "order-1", 1, strings.Repeat("x", 100_000))
			db := openFileDB(t, path)
			var got int
			if err := db.QueryRow("PRAGMA page_size").Scan(&got); err != nil || got != c.want {
				t.Errorf("the file has pages of %d bytes, %v; want %d", got, err, c.want)
			}
		})
	}
}

func TestMaxStateBytes(t *testing.T) {
	s := openFile(t, ":memory:", sqlite.Options{MaxStateBytes: 10})
	closeStore(t, s)
	save(t, s, "order-1", 1, "0123456789")
	err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 2, State: make([]byte, 11)})
	if !errors.Is(err, store.ErrTooLarge) || !strings.Contains(err.Error(), "11 bytes; MaxStateBytes is 10") {
		t.Errorf("Save of 11 bytes: %v; want ErrTooLarge that says so", err)
	}
	wantLatest(t, s, "order-1", 1, "0123456789")
	if stats := s.Stats(); stats.Saves != 1 {
		t.Errorf("%+v; want 1 save", stats)
	}
}

func TestBusyTimeoutBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	s := openFile(t, path, sqlite.Options{BusyTimeout: 20 * time.Millisecond})
	closeStore(t, s)
	application := openFileDB(t, path)
	tx, err := application.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("INSERT INTO snapshots VALUES ('a', 1, X'00', 0)"); err != nil {
		t.Fatal(err)
	}
	err = s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 1})
	if err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("Save with the write lock held by another: %v; want an error that says so", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	save(t, s, "order-1", 1, "one") // nothing is stuck
}

func TestTwoStoresOnOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	var wg sync.WaitGroup
	stores := make([]*sqlite.Store, 4)
	for i := range stores {
		wg.Go(func() { // which all want to make the file, its WAL and its table
			s, err := sqlite.Open(t.Context(), path, sqlite.Options{Synchronous: sqlite.Normal})
			if err != nil {
				t.Error(err)
				return
			}
			stores[i] = s
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i, s := range stores {
		closeStore(t, s)
		wg.Go(func() {
			for nr := range uint64(50) {
				if err := s.Save(t.Context(), store.Snapshot{PersistenceID: fmt.Sprint(i), SequenceNr: nr}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range stores {
		for _, s := range stores {
			wantLatest(t, s, fmt.Sprint(i), 49, "")
		}
	}
}

func TestQueuedSaveWhoseContextEndsIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	s := openFile(t, path, sqlite.Options{})
	closeStore(t, s)
	application := openFileDB(t, path)
	tx, err := application.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("INSERT INTO snapshots VALUES ('a', 1, X'00', 0)"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 10 { // one of them leads, and is cancelled too
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*5*time.Millisecond)
			defer cancel()
			err := s.Save(ctx, store.Snapshot{PersistenceID: fmt.Sprint("queued-", i), SequenceNr: 1})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Save that waits for the lock: %v; want DeadlineExceeded", err)
			}
		})
	}
	wg.Wait()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	save(t, s, "order-1", 1, "after") // somebody leads again
	for i := range 10 {
		if _, err := s.LoadLatest(t.Context(), fmt.Sprint("queued-", i)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a Save whose context ended in the queue: LoadLatest: %v; want ErrNotFound", err)
		}
	}
}

// TestTwoProcesses opens one new file in several processes at once, and saves from
// each.
func TestTwoProcesses(t *testing.T) {
	const variable = "SNAPSTACK_SQLITE_TEST_CHILD"
	const saves = 50
	if child := os.Getenv(variable); child != "" {
		id, path, _ := strings.Cut(child, " ")
		s := openFile(t, path, sqlite.Options{Keep: 10})
		closeStore(t, s)
		for nr := range uint64(saves) {
			save(t, s, id, nr, fmt.Sprint(nr))
			wantLatest(t, s, id, nr, fmt.Sprint(nr))
		}
		return
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "shared.db")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), executable, "-test.run=^TestTwoProcesses$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", variable, i, path))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	s := openFile(t, path, sqlite.Options{})
	closeStore(t, s)
	for i := range 4 {
		wantLatest(t, s, fmt.Sprint(i), saves-1, fmt.Sprint(saves-1))
	}
}

func TestListPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "many.db")
	db := openFileDB(t, path)
	mustExec(t, db, seedSchema)
	mustExec(t, db, `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 1299)
		INSERT INTO snapshots SELECT 'big', i, X'0102', 0 FROM n`)
	mustExec(t, db, `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 1499)
		INSERT INTO snapshots SELECT 'small-' || i, i, X'010203', 0 FROM n`)
	// The boundary of a page at the end of an id, and behind its number 0.
	mustExec(t, db, `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 499)
		INSERT INTO snapshots SELECT 'aaa', i, X'', 0 FROM n`)
	s := openFile(t, path, sqlite.Options{})
	closeStore(t, s)
	count := map[string]int{}
	var last store.Info
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.PersistenceID == last.PersistenceID && info.SequenceNr != last.SequenceNr-1 {
			t.Fatalf("%+v follows %+v", info, last)
		}
		count[info.PersistenceID]++
		last = info
	}
	if count["big"] != 1300 || count["aaa"] != 500 || len(count) != 1502 {
		t.Errorf("List yielded %d of big, %d of aaa and %d ids; want 1300, 500 and 1502", count["big"], count["aaa"], len(count))
	}
	n := 0
	for info, err := range s.List(t.Context(), "big") {
		if err != nil || info.StoredBytes != 2 {
			t.Fatalf("%+v, %v", info, err)
		}
		n++
	}
	if n != 1300 {
		t.Errorf("List(big) yielded %d; want 1300", n)
	}
}

func TestTooLargeForSQLite(t *testing.T) {
	db := openDB(t)
	db.SetMaxOpenConns(1) // the limit is a connection's
	s, err := sqlite.New(t.Context(), db, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// 1 MB instead of the 1 GB that SQLite takes by default.
	if _, err := modernc.Limit(conn, sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	err = s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", State: make([]byte, 1_000_001)})
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Save of more than SQLite takes: %v; want ErrTooLarge", err)
	}
	save(t, s, "order-1", 1, "one")
	wantLatest(t, s, "order-1", 1, "one")
}

func TestDamagedFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "damaged.db")
	s := openFile(t, path, sqlite.Options{JournalMode: sqlite.Delete})
	for nr := range uint64(40) {
		save(t, s, "order-1", nr, strings.Repeat("state", 2000))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[4096:], bytes.Repeat([]byte{0xff}, len(data)-4096)) // all but the first page
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = sqlite.Open(t.Context(), path, sqlite.Options{})
	if err == nil {
		defer s.Close()
		_, err = s.LoadLatest(t.Context(), "order-1")
	}
	if err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("a load from a damaged file: %v; want an error that is not ErrNotFound", err)
	}
}
