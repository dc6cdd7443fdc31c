package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
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

// maxState is what SQLite can ever take; mostly it is set to 1,000,000,000 and says
// so itself. Drivers hand the length over as 32 bits and would cut off the rest.
const maxState = math.MaxInt32

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
	s := &Store{opts: opts, owned: true}
	connections := 1 // in memory, every connection would be a database of its own
	if path != inMemory {
		if err := s.checkFile(ctx, path); err != nil {
			return nil, err
		}
		// One writes; more readers than processors would only starve it.
		connections = 1 + runtime.GOMAXPROCS(0)
	}
	db, err := sql.Open("sqlite", dataSource(path, url.Values{
		"_busy_timeout": {fmt.Sprint(min(opts.BusyTimeout.Milliseconds(), math.MaxInt32))},
		"_journal_mode": {string(opts.JournalMode)},
		"_synchronous":  {string(opts.Synchronous)},
	}))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	s.db = db
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(atPath(path, err), db.Close())
	}
	if path != inMemory {
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
	var conn *sql.Conn
	err := s.retryBusy(ctx, time.Now(), func() (err error) {
		conn, err = s.db.Conn(ctx)
		return err
	})
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

func statementsFor(table string) statements {
	// What another program wrote and no Save could have is not looked at: numbers
	// that are negative or no integers, and ids that are no text.
	const infos = "SELECT pid, seq, CASE typeof(state) WHEN 'blob' THEN length(state) ELSE length(CAST(state AS BLOB)) END, "
	return statements{
		// The primary key's index gives these in order, newest first.
		load: "SELECT seq, ts, typeof(state), state FROM " + table +
			" WHERE pid = ? AND seq BETWEEN 0 AND ? AND typeof(seq) = 'integer' ORDER BY seq DESC LIMIT 1",
		save: "INSERT OR REPLACE INTO " + table + " (pid, seq, state, ts) VALUES (?, ?, ?, ?)",
		// What is at or below the first one too many. There may be none: then the
		// comparison is with NULL, and nothing is deleted.
		prune: "DELETE FROM " + table + " WHERE pid = ? AND typeof(seq) = 'integer' AND seq >= 0 AND seq <= (SELECT seq FROM " + table +
			" WHERE pid = ? AND seq BETWEEN 0 AND ? AND typeof(seq) = 'integer' ORDER BY seq DESC LIMIT 1 OFFSET ?)",
		delete: "DELETE FROM " + table + " WHERE pid = ? AND seq BETWEEN 0 AND ? AND typeof(seq) = 'integer'",
		// SQLite knows the length of a blob without reading it.
		listID:   infos + "pid = ? AND seq <= ? FROM " + table + " WHERE pid = ? AND seq BETWEEN 0 AND ? AND typeof(seq) = 'integer' ORDER BY seq DESC LIMIT ?",
		listRest: infos + "pid > ? FROM " + table + " WHERE pid > ? AND seq >= 0 AND typeof(pid) = 'text' AND typeof(seq) = 'integer' ORDER BY pid, seq DESC LIMIT ?",
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
	if len(state) > maxState {
		return fmt.Errorf("%w: sqlite: %d bytes; SQLite takes at most %d", store.ErrTooLarge, len(state), maxState)
	}
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
	if isDamage(err) {
		at = s.damagedNr(ctx, id, highest)
	}
	return at, cause(ctx, err)
}

func (s *Store) viewOnce(ctx context.Context, id string, highest int64, view func(store.Snapshot)) (at uint64, err error) {
	rows, err := s.load.QueryContext(ctx, id, highest)
	if err != nil {
		return 0, err
	}
	// Where this is the first Close the row was read whole, and view may have had
	// it: an error could change neither, and must not have the load repeated.
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return 0, err
		}
		return 0, store.ErrNotFound
	}
	var seq int64
	var ts any
	var class string
	var state sql.RawBytes // the driver's own
	if err := rows.Scan(&seq, &ts, &class, &state); err != nil {
		return 0, err
	}
	if class != "blob" && class != "text" {
		return uint64(seq), fmt.Errorf("%w: sqlite: its state is of the storage class %s; wanted is blob or text", store.ErrCorrupt, class)
	}
	ms, ok := ts.(int64)
	if !ok {
		return uint64(seq), fmt.Errorf("%w: sqlite: its timestamp is %.40q; wanted is an integer", store.ErrCorrupt, fmt.Sprint(ts))
	}
	view(store.Snapshot{
		PersistenceID: id,
		SequenceNr:    uint64(seq),
		Timestamp:     time.UnixMilli(ms).UTC(),
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
