package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/snapstack/snapstack/store"
)

// maintainers is how many connections there are at most for what takes long.
const maintainers = 2

// owned is the way in to a file or memory that Open opened. Its connections stay
// open, and who needs one takes it out of its channel for as long. Their statements
// are those of the driver: database/sql would cost a load as much again as SQLite
// does, and copy the state once more.
//
// No statement of the connections waits for a lock (their busy timeout is 0), and
// none runs long: none is given the context of the caller, for which the driver
// would have to start a goroutine each time. Who gets no lock waits in
// Store.retryBusy, and who gets no connection in take, and both obey the context.
type owned struct {
	db      *sql.DB
	readers chan *connection
	writers chan *connection // has one; in memory it is the same as readers
	texts   statements
}

// newOwned returns the way in to the database of db. In memory all share one
// connection, as every other would be a database of its own.
func newOwned(ctx context.Context, db *sql.DB, memory bool, texts statements) (*owned, error) {
	// One writes; more readers than processors would only starve it.
	n := runtime.GOMAXPROCS(0)
	if memory {
		n = 1
	}
	d := &owned{db: db, readers: make(chan *connection, n), texts: texts}
	d.writers = d.readers
	var err error
	if !memory {
		db.SetMaxOpenConns(1 + n + 1 + maintainers) // the writer, readers, the checkpointer
		db.SetMaxIdleConns(1)
		d.writers = make(chan *connection, 1)
		err = connect(ctx, db, d.writers)
	}
	for err == nil && len(d.readers) < n {
		err = connect(ctx, db, d.readers)
	}
	if err != nil {
		return nil, errors.Join(err, d.closeConnections())
	}
	return d, nil
}

// connect adds a connection to the pool.
func connect(ctx context.Context, db *sql.DB, pool chan<- *connection) error {
	conn, err := db.Conn(ctx)
	if err == nil {
		pool <- &connection{conn: conn, home: pool, prepared: make(map[string]driver.Stmt)}
	}
	return err
}

// take takes a connection out of a pool.
func take(ctx context.Context, pool <-chan *connection) (*connection, error) {
	select {
	case c := <-pool:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *owned) load(ctx context.Context, id string, highest int64, lend func(snap store.Snapshot, borrowed bool)) (at uint64, err error) {
	row, err := d.loadRow(ctx, id, highest)
	if err != nil {
		return 0, err
	}
	var class string
	var state []byte
	switch value := row[2].(type) {
	case []byte:
		// The driver made it for this row. Even one that did not may write to it
		// only when asked for another row (driver.Rows), which nobody does.
		class, state = "blob", value
	case string:
		class, state = "text", []byte(value)
	case nil:
		class = "null"
	case int64:
		class = "integer"
	default:
		class = "real"
	}
	seq, ok := row[0].(int64)
	if !ok {
		return 0, fmt.Errorf("the driver gives an integer as %T", row[0])
	}
	snap, err := snapshotOf(id, seq, row[1], class, state)
	if err != nil {
		return uint64(seq), err
	}
	lend(snap, false)
	return 0, nil
}

func (d *owned) loadRow(ctx context.Context, id string, highest int64) (row, error) {
	c, err := take(ctx, d.readers)
	if err != nil {
		return row{}, err
	}
	defer c.release()
	return c.queryRow(d.texts.load, id, highest)
}

func (d *owned) writer(ctx context.Context) (writer, error) {
	c, err := take(ctx, d.writers)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (d *owned) read(ctx context.Context, use func(*sql.Conn) error) error {
	c, err := take(ctx, d.readers)
	if err != nil {
		return err
	}
	defer c.release()
	return use(c.conn)
}

func (d *owned) maintain(ctx context.Context, use func(*sql.Conn) error) error {
	if d.readers == d.writers { // in memory
		return d.read(ctx, use)
	}
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	return errors.Join(use(conn), conn.Close())
}

func (d *owned) close() error {
	return errors.Join(d.closeConnections(), d.db.Close())
}

func (d *owned) closeConnections() error {
	var err error
	for _, pool := range []chan *connection{d.writers, d.readers} {
		for len(pool) > 0 {
			err = errors.Join(err, (<-pool).close())
		}
	}
	return err
}

// A connection is used by one goroutine at a time.
type connection struct {
	conn     *sql.Conn
	home     chan<- *connection
	prepared map[string]driver.Stmt // by their text
	args     []driver.NamedValue    // of the statement that runs
	row      row                    // and its result
}

// A row is seq, ts and state.
type row [3]driver.Value

func (c *connection) release() { c.home <- c }

// exec implements writer. It does not look at ctx: see owned.
func (c *connection) exec(_ context.Context, statement string, args ...any) error {
	return c.run(statement, args, func(stmt driver.Stmt) error {
		_, err := stmt.(driver.StmtExecContext).ExecContext(context.Background(), c.args)
		return err
	})
}

// queryRow reads the first row of a query, or returns ErrNotFound.
func (c *connection) queryRow(query string, args ...any) (row, error) {
	err := c.run(query, args, func(stmt driver.Stmt) error {
		rows, err := stmt.(driver.StmtQueryContext).QueryContext(context.Background(), c.args)
		if err != nil {
			return err
		}
		err = rows.Next(c.row[:])
		if errors.Is(err, io.EOF) {
			err = store.ErrNotFound
		}
		if closeErr := rows.Close(); closeErr != nil {
			return closeErr // also where nothing was found: there may be something
		}
		return err
	})
	found := c.row
	c.row = row{} // the state is the caller's
	return found, err
}

// run calls call with the prepared statement, and its arguments in c.args.
func (c *connection) run(statement string, args []any, call func(driver.Stmt) error) error {
	for i, arg := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	defer func() {
		clear(c.args) // of states
		c.args = c.args[:0]
	}()
	return c.conn.Raw(func(raw any) error {
		stmt := c.prepared[statement]
		if stmt == nil {
			var err error
			stmt, err = raw.(driver.ConnPrepareContext).PrepareContext(context.Background(), statement)
			if err != nil {
				return err
			}
			c.prepared[statement] = stmt
		}
		return call(stmt)
	})
}

func (c *connection) close() error {
	err := c.conn.Raw(func(any) error {
		var err error
		for _, stmt := range c.prepared {
			err = errors.Join(err, stmt.Close())
		}
		return err
	})
	return errors.Join(err, c.conn.Close())
}
