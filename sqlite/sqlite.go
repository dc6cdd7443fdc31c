package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/snapstack/snapstack/store"
)

// Store is a store.SnapshotStore in a table of a SQLite database.
type Store struct {
	opts     Options
	gate     store.Gate
	db       database
	sql      statements
	queue    queue
	counters counters

	checkpointer *checkpointer // nil where there is no WAL that is the store's to look after
	walPath      string        // empty where there is none

	fsync func(*os.File) error // (*os.File).Sync, but for tests
}

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Keeper        = (*Store)(nil)
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
	opts.completeForOpen()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := newStore(opts)
	memory := path == inMemory
	if !memory {
		if err := s.checkFile(ctx, path); err != nil {
			return nil, err
		}
	}
	db, err := sql.Open("sqlite", dataSource(path, url.Values{
		// No statement waits for a lock in SQLite, where it would not see a context
		// end: see owned.
		"_busy_timeout": {"0"},
		"_pragma":       {fmt.Sprintf("page_size(%d)", opts.PageSize)}, // for a new file; has to stand before the mode
		"_journal_mode": {string(opts.JournalMode)},
		"_synchronous":  {string(opts.Synchronous)},
	}))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	if memory {
		db.SetMaxOpenConns(1)
	}
	if err := s.start(ctx, db, memory); err != nil {
		return nil, errors.Join(atPath(path, err), db.Close())
	}
	if s.checkpointer != nil {
		s.walPath = path + "-wal"
	}
	return s, nil
}

// start makes the table and opens the connections.
func (s *Store) start(ctx context.Context, db *sql.DB, memory bool) error {
	if err := s.createTable(ctx, db); err != nil {
		return err
	}
	if !memory {
		if err := s.retryBusy(ctx, time.Time{}, func() error { return checkJournalMode(ctx, db, s.opts.JournalMode) }); err != nil {
			return err
		}
	}
	var way *owned
	err := s.retryBusy(ctx, time.Time{}, func() (err error) {
		way, err = newOwned(ctx, db, memory, s.sql)
		return err
	})
	if err != nil {
		return err
	}
	s.db = way
	if memory || s.opts.JournalMode != WAL {
		return nil
	}
	err = s.retryBusy(ctx, time.Time{}, func() (err error) {
		s.checkpointer, err = newCheckpointer(ctx, way, s.opts.CheckpointBytes, &s.counters)
		return err
	})
	if err != nil {
		return errors.Join(err, way.closeConnections())
	}
	return nil
}

// checkJournalMode returns an error where SQLite did not take the mode: a file
// system without shared memory refuses WAL without one.
func checkJournalMode(ctx context.Context, db *sql.DB, want JournalMode) error {
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if !strings.EqualFold(mode, string(want)) {
		return fmt.Errorf("JournalMode %s is not to be had here, SQLite gives %s", want, strings.ToUpper(mode))
	}
	return nil
}

// New returns a Store in a table of db, which it creates where there is none. Db
// is the application's: the Store never closes it and takes one connection at a
// time for writes, and one for each load. It may be of any driver of SQLite.
//
// A caller that holds the last connection of db, or an open transaction that has
// written, must not call the Store before it lets go.
func New(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	s, err := share(ctx, db, opts)
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("sqlite: %w", cause(ctx, err)))
	}
	return s, nil
}

func share(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	if db == nil {
		return nil, fmt.Errorf("%w db: nil", store.ErrInvalid)
	}
	if err := opts.checkForNew(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := newStore(opts)
	if err := s.createTable(ctx, db); err != nil {
		return nil, err
	}
	err := s.retryBusy(ctx, time.Time{}, func() (err error) {
		s.db, err = newShared(ctx, db, s.sql.loadClass)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newStore(opts Options) *Store {
	return &Store{opts: opts, fsync: (*os.File).Sync}
}

func (s *Store) createTable(ctx context.Context, db *sql.DB) error {
	table := `"` + s.opts.Table + `"`
	return s.retryBusy(ctx, time.Time{}, func() error {
		if err := createTable(ctx, db, s.opts.Table); err != nil {
			return err
		}
		rowid, err := hasRowid(ctx, db, table)
		s.sql = statementsFor(table, rowid)
		return err
	})
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
	if len(state) > s.opts.MaxStateBytes {
		return fmt.Errorf("%w: sqlite: %d bytes; MaxStateBytes is %d", store.ErrTooLarge, len(state), s.opts.MaxStateBytes)
	}
	if state == nil {
		state = []byte{} // nil is NULL in SQL
	}
	w := newWrite(s.sql.save, snap.PersistenceID, int64(snap.SequenceNr), state, store.SaveTime(snap.Timestamp, s.opts.Now).UnixMilli())
	w.saves, w.bytes = true, len(state)
	if s.opts.Keep > 0 {
		w.prune = []any{snap.PersistenceID, snap.PersistenceID, int64(snap.SequenceNr), int64(s.opts.Keep)}
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
	snap, err := s.load(ctx, persistenceID, math.MaxUint64)
	if err != nil {
		return store.Snapshot{}, store.Wrap(store.OpLoadLatest, persistenceID, snap.SequenceNr, err)
	}
	return snap, nil
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := s.load(ctx, persistenceID, sequenceNr)
	if errors.Is(err, store.ErrCorrupt) {
		sequenceNr = snap.SequenceNr
	}
	if err != nil {
		return store.Snapshot{}, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
	}
	return snap, nil
}

// load returns the newest snapshot below the bound. With ErrCorrupt the number alone is
// set, of that snapshot.
func (s *Store) load(ctx context.Context, id string, below uint64) (store.Snapshot, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer s.gate.Leave()
	if err := store.CheckID(id); err != nil {
		return store.Snapshot{}, err
	}
	if below == 0 {
		return store.Snapshot{}, store.ErrNotFound
	}
	highest := int64(min(below-1, store.MaxSequenceNr))
	snap, err := s.db.load(ctx, id, highest)
	if isBusy(err) {
		snap, err = s.loadBusy(ctx, id, highest)
	}
	if isDamage(err) || errors.Is(err, errMixedUp) {
		snap.SequenceNr = s.damagedNr(ctx, id, highest)
	}
	return snap, cause(ctx, err)
}

// loadBusy is load behind a lock. It is apart for the loads that have none before them:
// what is in its closure is allocated.
func (s *Store) loadBusy(ctx context.Context, id string, highest int64) (snap store.Snapshot, err error) {
	err = s.retryBusy(ctx, time.Time{}, func() error {
		snap, err = s.db.load(ctx, id, highest)
		return err
	})
	return snap, err
}

// ViewLatest implements store.Viewer. It lends the bytes of the driver. A Store from
// New holds a connection while view runs.
func (s *Store) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	var viewErr error
	at, err := s.view(ctx, persistenceID, func(snap store.Snapshot) { viewErr = view(snap) })
	if err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, at, err)
	}
	return viewErr
}

// view calls lend with the newest snapshot. With ErrCorrupt it returns the number of
// that snapshot, otherwise 0.
func (s *Store) view(ctx context.Context, id string, lend func(store.Snapshot)) (at uint64, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return 0, err
	}
	defer s.gate.Leave()
	if err := store.CheckID(id); err != nil {
		return 0, err
	}
	err = s.retryBusy(ctx, time.Time{}, func() error {
		at, err = s.db.view(ctx, id, store.MaxSequenceNr, lend)
		return err
	})
	if isDamage(err) || errors.Is(err, errMixedUp) {
		at = s.damagedNr(ctx, id, store.MaxSequenceNr)
	}
	return at, cause(ctx, err)
}

// Close implements store.SnapshotStore. It moves what is in the WAL to the file; where
// no other connection has the file open the WAL is gone then. An error of that is
// returned, and loses nothing: who opens the file next finds the WAL. A database given
// to New stays open.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		var err error
		if s.checkpointer != nil {
			err = s.checkpointer.close()
		}
		return store.Wrap(store.OpClose, "", 0, errors.Join(err, s.db.close()))
	})
}
