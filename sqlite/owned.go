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
	// As many as there are processors, and one of them writes. With one reader more
	// the writer gets half as far beside readers without a pause, and they no further.
	n := max(1, runtime.GOMAXPROCS(0)-1)
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
		pool <- newConnection(conn, pool)
	}
	return err
}

// take takes a connection out of a pool.
func take(ctx context.Context, pool <-chan *connection) (*connection, error) {
	select {
	case c := <-pool: // by itself this takes a third of the time
		return c, nil
	default:
	}
	select {
	case c := <-pool:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *owned) load(ctx context.Context, id string, highest int64) (store.Snapshot, error) {
	row, err := d.loadRow(ctx, 4, d.texts.load, id, highest)
	if err != nil {
		return store.Snapshot{}, err
	}
	seq, ok := row[0].(int64)
	if !ok || seq < 0 {
		// A row that no Save wrote; there may be others below it.
		if row, err = d.loadRow(ctx, 4, d.texts.loadPast, id, highest); err != nil {
			return store.Snapshot{}, err
		}
		if seq, ok = row[0].(int64); !ok {
			return store.Snapshot{}, fmt.Errorf("the driver gives an integer as %T", row[0])
		}
	}
	if whose, ok := row[3].(int64); !ok || whose != 1 {
		return store.Snapshot{}, errMixedUp
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
	return snapshotOf(id, seq, row[1], class, state)
}

// view lends what load returns, when the connection is free again.
func (d *owned) view(ctx context.Context, id string, highest int64, lend func(store.Snapshot)) (at uint64, err error) {
	snap, err := d.load(ctx, id, highest)
	if err != nil {
		return snap.SequenceNr, err
	}
	lend(snap)
	return 0, nil
}

func (d *owned) loadRow(ctx context.Context, width int, query, id string, highest int64) (row, error) {
	c, err := take(ctx, d.readers)
	if err != nil {
		return row{}, err
	}
	defer c.release()
	return c.queryRow(width, query, id, highest)
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

	// What runs, and the row that it gave. They are fields, and the functions that
	// database/sql calls back made once, because closures over them would be
	// allocated for every load.
	statement string
	args      []driver.NamedValue
	width     int // of the row
	row       row
	execRaw   func(driver any) error
	queryRaw  func(driver any) error
}

// A row is seq, ts, state and whether the row has the id, or less.
type row [4]driver.Value

func newConnection(conn *sql.Conn, home chan<- *connection) *connection {
	c := &connection{conn: conn, home: home, prepared: make(map[string]driver.Stmt)}
	c.execRaw, c.queryRaw = c.execOnDriver, c.queryOnDriver
	return c
}

func (c *connection) release() { c.home <- c }

// exec implements writer. It does not look at ctx: see owned.
func (c *connection) exec(_ context.Context, statement string, args ...any) error {
	c.set(statement, args)
	defer c.reset()
	return c.conn.Raw(c.execRaw)
}

// queryRow reads the first row of a query, of so many columns, or returns ErrNotFound.
func (c *connection) queryRow(width int, query string, args ...any) (row, error) {
	c.width = width
	c.set(query, args)
	defer c.reset()
	err := c.conn.Raw(c.queryRaw)
	return c.row, err
}

func (c *connection) set(statement string, args []any) {
	c.statement = statement
	for i, arg := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
}

// reset forgets states, which are the caller's.
func (c *connection) reset() {
	clear(c.args)
	c.args = c.args[:0]
	c.row = row{}
}

func (c *connection) execOnDriver(conn any) error {
	stmt, err := c.prepare(conn)
	if err != nil {
		return err
	}
	_, err = stmt.(driver.StmtExecContext).ExecContext(context.Background(), c.args)
	return err
}

func (c *connection) queryOnDriver(conn any) error {
	stmt, err := c.prepare(conn)
	if err != nil {
		return err
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(context.Background(), c.args)
	if err != nil {
		return err
	}
	err = rows.Next(c.row[:c.width])
	if errors.Is(err, io.EOF) {
		err = store.ErrNotFound
	}
	if closeErr := rows.Close(); closeErr != nil {
		return closeErr // also where nothing was found: there may be something
	}
	return err
}

func (c *connection) prepare(conn any) (driver.Stmt, error) {
	if stmt := c.prepared[c.statement]; stmt != nil {
		return stmt, nil
	}
	stmt, err := conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), c.statement)
	if err == nil {
		c.prepared[c.statement] = stmt
	}
	return stmt, err
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
