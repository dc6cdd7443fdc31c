package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/snapstack/snapstack/store"
)

// Store is a store.SnapshotStore in a table of a SQLite database.
type Store struct {
	opts   Options
	gate   store.Gate
	db     *sql.DB
	owned  bool      // db was opened here
	writer *sql.Conn // kept for writes; nil where each takes one from db
	sql    statements
	load   *sql.Stmt // the text sql.load
	queue  queue
}

// statements are the texts, with the table's name in them.
type statements struct {
	load, save, prune, delete, listID, listRest string
}

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Viewer        = (*Store)(nil)
)

// Open opens the file at path, which it creates where there is none; the folder
// must exist. The path ":memory:" stands for a database in memory that ends with
// the Store. A file that is no SQLite database, or has a table of that name with
// other columns, is an error and is left as it was.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	s, err := open(ctx, path, opts)
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("sqlite: %w", cause(ctx, err)))
	}
	return s, nil
}

func open(ctx context.Context, path string, opts Options) (*Store, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	if opts.JournalMode == "" {
		opts.JournalMode = WAL
	}
	if opts.Synchronous == "" {
		opts.Synchronous = Full
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	inMemory := path == ":memory:"
	if !inMemory {
		if err := checkPath(ctx, path, opts); err != nil {
			return nil, err
		}
	}
	db, err := sql.Open("sqlite", dataSource(path, url.Values{
		"_busy_timeout": {fmt.Sprint(opts.BusyTimeout.Milliseconds())},
		"_journal_mode": {string(opts.JournalMode)},
		"_synchronous":  {string(opts.Synchronous)},
	}))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	connections := 1 // in memory, every connection would be a database of its own
	if !inMemory {
		// More readers than processors only starve the writer.
		connections = runtime.GOMAXPROCS(0) + 1
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)

	s := &Store{opts: opts, db: db, owned: true}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(atPath(path, err), db.Close())
	}
	if !inMemory {
		if err := s.keepWriter(ctx); err != nil {
			return nil, errors.Join(atPath(path, err), s.load.Close(), db.Close())
		}
	}
	return s, nil
}

// New returns a Store in a table of db, which it creates where there is none. Db
// is the application's: the Store never closes it and takes one connection at a
// time for writes, and one for each load. It may be of any driver of SQLite.
//
// A caller that holds the last connection of db, or an open transaction that has
// written, must not call the Store before it lets go.
func New(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	s, err := newShared(ctx, db, opts)
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("sqlite: %w", cause(ctx, err)))
	}
	return s, nil
}

func newShared(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	if db == nil {
		return nil, fmt.Errorf("%w db: nil", store.ErrInvalid)
	}
	if opts.JournalMode != "" || opts.Synchronous != "" {
		return nil, fmt.Errorf("%w JournalMode %q, Synchronous %q; on a shared database they are the application's, and must be empty here", store.ErrInvalid, opts.JournalMode, opts.Synchronous)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &Store{opts: opts, db: db}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// start makes the table and what every Store needs.
func (s *Store) start(ctx context.Context) error {
	if err := s.retryBusy(ctx, time.Now(), func() error { return createTable(ctx, s.db, s.opts.Table) }); err != nil {
		return err
	}
	s.sql = statementsFor(`"` + s.opts.Table + `"`)
	load, err := s.db.PrepareContext(ctx, s.sql.load)
	s.load = load
	return err
}

// keepWriter takes a connection for all writes.
func (s *Store) keepWriter(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	// A file system without shared memory refuses WAL without an error.
	var mode string
	if err := conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return errors.Join(err, conn.Close())
	}
	if !strings.EqualFold(mode, string(s.opts.JournalMode)) {
		return errors.Join(fmt.Errorf("JournalMode %s is not to be had here, SQLite gives %s", s.opts.JournalMode, strings.ToUpper(mode)), conn.Close())
	}
	s.writer = conn
	return nil
}

// checkPath looks at what stands at path without changing it. It does not open the
// file itself: closing it would take away the locks that other connections of this
// process have on it (https://sqlite.org/howtocorrupt.html, 2.2).
func checkPath(ctx context.Context, path string, opts Options) error {
	if path == "" {
		return fmt.Errorf("%w path: empty; wanted is a file or \":memory:\"", store.ErrInvalid)
	}
	if strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("%w path %q: has a NUL byte", store.ErrInvalid, path)
	}
	if folder, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%q: the folder must exist: %w", path, err)
	} else if !folder.IsDir() {
		return fmt.Errorf("%w path %q: %q is no folder", store.ErrInvalid, path, filepath.Dir(path))
	}
	file, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !file.Mode().IsRegular() {
		return fmt.Errorf("%w path %q: it is no file", store.ErrInvalid, path)
	}
	// SQLite takes a file of less than its smallest page for an empty database, and
	// would write over what somebody has there.
	if size := file.Size(); size > 0 && size < 512 {
		return fmt.Errorf("%q: file is not a database: it has %d bytes", path, size)
	}
	// Without the settings of the store: to turn a database to WAL writes to it.
	db, err := sql.Open("sqlite", dataSource(path, url.Values{"mode": {"rw"}, "_busy_timeout": {fmt.Sprint(opts.BusyTimeout.Milliseconds())}}))
	if err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	_, err = checkTable(ctx, db, opts.Table)
	return atPath(path, errors.Join(err, db.Close()))
}

// atPath returns err with the path, and what SQLite leaves to be guessed.
func atPath(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "unable to open database file"), strings.Contains(err.Error(), "readonly database"):
		return fmt.Errorf("%q: %w: the file and its folder must be readable and writable for this process", path, err)
	}
	return fmt.Errorf("%q: %w", path, err)
}

// dataSource returns the name of the database for the driver. It is a URI, so that
// any character may stand in the path (https://sqlite.org/uri.html).
func dataSource(path string, parameters url.Values) string {
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?" + parameters.Encode()
}

func statementsFor(table string) statements {
	return statements{
		// The primary key's index gives these in order, newest first.
		load: "SELECT seq, ts, typeof(state), state FROM " + table +
			" WHERE pid = ? AND seq BETWEEN 0 AND ? ORDER BY seq DESC LIMIT 1",
		save: "INSERT OR REPLACE INTO " + table + " (pid, seq, state, ts) VALUES (?, ?, ?, ?)",
		// What is at or below the first one too many. There may be none: then the
		// comparison is with NULL, and nothing is deleted.
		prune: "DELETE FROM " + table + " WHERE pid = ? AND seq >= 0 AND seq <= (SELECT seq FROM " + table +
			" WHERE pid = ? AND seq BETWEEN 0 AND ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
		delete: "DELETE FROM " + table + " WHERE pid = ? AND seq BETWEEN 0 AND ?",
		// SQLite knows the length of a blob without reading it.
		listID: "SELECT pid, seq, CASE typeof(state) WHEN 'blob' THEN length(state) ELSE length(CAST(state AS BLOB)) END FROM " + table +
			" WHERE pid = ? AND seq BETWEEN 0 AND ? ORDER BY seq DESC LIMIT ?",
		listRest: "SELECT pid, seq, CASE typeof(state) WHEN 'blob' THEN length(state) ELSE length(CAST(state AS BLOB)) END FROM " + table +
			" WHERE pid > ? AND seq >= 0 ORDER BY pid, seq DESC LIMIT ?",
	}
}

// Save implements store.SnapshotStore. When it returns nil the snapshot is
// committed.
func (s *Store) Save(ctx context.Context, snap store.Snapshot) error {
	return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, s.save(ctx, snap))
}

func (s *Store) save(ctx context.Context, snap store.Snapshot) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckSave(snap); err != nil {
		return err
	}
	state := snap.State
	if state == nil {
		state = []byte{} // nil is NULL in SQL
	}
	w := newWrite(s.sql.save, snap.PersistenceID, int64(snap.SequenceNr), state, store.SaveTime(snap.Timestamp, s.opts.Now).UnixMilli())
	if s.opts.Keep > 0 {
		w.prune = []any{snap.PersistenceID, snap.PersistenceID, int64(snap.SequenceNr), s.opts.Keep}
	}
	if err := s.submit(ctx, w); err != nil {
		return err
	}
	if w.pruneErr != nil && s.opts.OnPruneError != nil {
		s.opts.OnPruneError(store.Wrap(store.OpPrune, snap.PersistenceID, snap.SequenceNr, fmt.Errorf("sqlite: %w", w.pruneErr)))
	}
	return nil
}

// Delete implements store.SnapshotStore.
func (s *Store) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return store.Wrap(store.OpDelete, persistenceID, toSequenceNr, s.delete(ctx, persistenceID, toSequenceNr))
}

func (s *Store) delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckID(persistenceID); err != nil {
		return err
	}
	return s.submit(ctx, newWrite(s.sql.delete, persistenceID, int64(min(toSequenceNr, store.MaxSequenceNr))))
}

// LoadLatest implements store.SnapshotStore.
func (s *Store) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	snap, at, err := s.loadCopy(ctx, persistenceID, math.MaxUint64)
	return snap, store.Wrap(store.OpLoadLatest, persistenceID, at, err)
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, at, err := s.loadCopy(ctx, persistenceID, sequenceNr)
	if !errors.Is(err, store.ErrCorrupt) {
		at = sequenceNr
	}
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, at, err)
}

// ViewLatest implements store.Viewer. It lends the bytes of the driver, and holds a
// connection while view runs.
func (s *Store) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	var viewErr error
	at, err := s.view(ctx, persistenceID, math.MaxUint64, func(snap store.Snapshot) { viewErr = view(snap) })
	if err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, at, err)
	}
	return viewErr
}

func (s *Store) loadCopy(ctx context.Context, id string, below uint64) (snap store.Snapshot, at uint64, err error) {
	at, err = s.view(ctx, id, below, func(lent store.Snapshot) {
		snap = lent
		snap.State = bytes.Clone(lent.State)
	})
	return snap, at, err
}

// view calls view with the newest snapshot below the bound. With ErrCorrupt it
// returns the number of that snapshot, otherwise 0.
func (s *Store) view(ctx context.Context, id string, below uint64, view func(store.Snapshot)) (at uint64, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return 0, err
	}
	defer s.gate.Leave()
	if err := store.CheckID(id); err != nil {
		return 0, err
	}
	if below == 0 {
		return 0, store.ErrNotFound
	}
	highest := int64(min(below-1, store.MaxSequenceNr))

	err = s.retryBusy(ctx, time.Now(), func() error {
		at, err = s.viewOnce(ctx, id, highest, view)
		return err
	})
	return at, cause(ctx, err)
}

func (s *Store) viewOnce(ctx context.Context, id string, highest int64, view func(store.Snapshot)) (at uint64, err error) {
	rows, err := s.load.QueryContext(ctx, id, highest)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return 0, err
		}
		return 0, store.ErrNotFound
	}
	var seq, ts int64
	var class string
	var state sql.RawBytes // the driver's own
	if err := rows.Scan(&seq, &ts, &class, &state); err != nil {
		return 0, err
	}
	if class != "blob" && class != "text" {
		return uint64(seq), fmt.Errorf("%w: sqlite: its state is of the storage class %s; wanted is blob or text", store.ErrCorrupt, class)
	}
	view(store.Snapshot{
		PersistenceID: id,
		SequenceNr:    uint64(seq),
		Timestamp:     time.UnixMilli(ts).UTC(),
		State:         state[:len(state):len(state)],
	})
	return 0, nil
}

// Close implements store.SnapshotStore. It leaves a database given to New open.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		err := s.load.Close()
		if s.writer != nil {
			err = errors.Join(err, s.queue.closeStatements(), s.writer.Close())
		}
		if s.owned {
			err = errors.Join(err, s.db.Close())
		}
		return store.Wrap(store.OpClose, "", 0, err)
	})
}
