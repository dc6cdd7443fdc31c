package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/snapstack/snapstack/store"
)

// shared is the way in to a database of the application, of any driver.
type shared struct {
	db       *sql.DB
	prepared *sql.Stmt // the load
}

func newShared(ctx context.Context, db *sql.DB, load string) (*shared, error) {
	// Database/sql prepares it on each connection that it comes to run on.
	prepared, err := db.PrepareContext(ctx, load)
	if err != nil {
		return nil, err
	}
	return &shared{db: db, prepared: prepared}, nil
}

func (d *shared) load(ctx context.Context, id string, highest int64) (snap store.Snapshot, err error) {
	at, err := d.view(ctx, id, highest, func(lent store.Snapshot) {
		snap = lent
		snap.State = bytes.Clone(lent.State)
	})
	if err != nil {
		return store.Snapshot{SequenceNr: at}, err
	}
	return snap, nil
}

func (d *shared) view(ctx context.Context, id string, highest int64, lend func(store.Snapshot)) (at uint64, err error) {
	rows, err := d.prepared.QueryContext(ctx, id, highest)
	if err != nil {
		return 0, err
	}
	// Where this is the first Close the row was read whole, and lend may have had
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
	var whose sql.NullBool
	if err := rows.Scan(&seq, &ts, &class, &state, &whose); err != nil {
		return 0, err
	}
	if !whose.Bool {
		return 0, errMixedUp
	}
	snap, err := snapshotOf(id, seq, ts, class, state)
	if err != nil {
		return snap.SequenceNr, err
	}
	lend(snap)
	return 0, nil
}

// writer takes a connection for one transaction.
func (d *shared) writer(ctx context.Context) (writer, error) {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &sharedWriter{conn: conn}, nil
}

func (d *shared) read(ctx context.Context, use func(*sql.Conn) error) error {
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(use(conn), conn.Close())
}

func (d *shared) maintain(ctx context.Context, use func(*sql.Conn) error) error {
	return d.read(ctx, use)
}

// close leaves the database open.
func (d *shared) close() error { return d.prepared.Close() }

type sharedWriter struct {
	conn *sql.Conn
}

func (w *sharedWriter) exec(ctx context.Context, statement string, args ...any) error {
	_, err := w.conn.ExecContext(ctx, statement, args...)
	return err
}

func (w *sharedWriter) release() {
	// The writes on it are over; a connection that can't be given back is the
	// pool's concern, and the next write takes another.
	_ = w.conn.Close()
}
