package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/snapstack/snapstack/store"
)

// A database is the way in to SQLite. There are two: owned, for what Open opens,
// works on statements of the driver itself; shared, for what New is given, goes
// through database/sql, which any driver has.
type database interface {
	// load returns the newest snapshot of the id at or below highest, whose state is
	// the caller's, or ErrNotFound. With ErrCorrupt the number alone is set, of that
	// snapshot.
	load(ctx context.Context, id string, highest int64) (store.Snapshot, error)

	// view is load with a state that ends with lend. It calls it once, or returns an
	// error, and with ErrCorrupt the number of that snapshot.
	view(ctx context.Context, id string, highest int64, lend func(store.Snapshot)) (at uint64, err error)

	// writer lends the connection for a transaction, until its release.
	writer(ctx context.Context) (writer, error)

	// read runs use on a connection, for what is over soon.
	read(ctx context.Context, use func(*sql.Conn) error) error

	// maintain runs use on a connection that no load waits for, if that can be.
	maintain(ctx context.Context, use func(*sql.Conn) error) error

	close() error
}

// A writer is a connection to write on.
type writer interface {
	exec(ctx context.Context, statement string, args ...any) error
	release()
}

// statements are the texts, with the table's name in them.
type statements struct {
	load, loadPast, loadClass, loadNr, save, prune, delete, listID, listRest, check string
}

// statementsFor returns the statements for a table. Rowid says whether it has rowids,
// as every table that a Store creates.
func statementsFor(table string, rowid bool) statements {
	// What another program wrote and no Save could have is not looked at: numbers
	// that are negative or no integers, and ids that are no text.
	const infos = "SELECT pid, seq, CASE typeof(state) WHEN 'blob' THEN length(state) ELSE length(CAST(state AS BLOB)) END, "
	// The primary key's index gives these in order, newest first.
	const newest = " WHERE pid = ?1 AND seq BETWEEN 0 AND ?2 AND typeof(seq) = 'integer' ORDER BY seq DESC LIMIT 1"
	// Without a look at what the number is, which its caller has to take.
	const newestOfAny = " WHERE pid = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1"
	// SQLite reads what the index has from there. Where a bit of a key in it was flipped
	// that would give one id, or number, the state of another, so the row itself is asked
	// whose it is. That costs a tenth of a small load.
	from := func(newest string) string {
		whose := "1" // there is no index beside the table that could differ
		if rowid {
			whose = "(SELECT t.pid = ?1 AND t.seq = s.seq FROM " + table + " t WHERE t.rowid = s.rowid)"
		}
		return ", " + whose + " AS d FROM " + table + " s" + newest
	}
	return statements{
		// The signs change nothing; without them, and with longer names, the driver would
		// allocate the declared types and names of the columns for every load.
		load:      "SELECT +seq AS a, +ts AS b, +state AS c" + from(newestOfAny),
		loadPast:  "SELECT seq, ts, state" + from(newest),
		loadClass: "SELECT seq, ts, typeof(state), state" + from(newest),
		loadNr:    "SELECT seq FROM " + table + newest, // the index alone has it
		save:      "INSERT OR REPLACE INTO " + table + " (pid, seq, state, ts) VALUES (?, ?, ?, ?)",
		// What is at or below the first one too many. There may be none: then the
		// comparison is with NULL, and nothing is deleted.
		prune: "DELETE FROM " + table + " WHERE pid = ? AND typeof(seq) = 'integer' AND seq >= 0 AND seq <= (SELECT seq FROM " + table +
			" WHERE pid = ? AND seq BETWEEN 0 AND ? AND typeof(seq) = 'integer' ORDER BY seq DESC LIMIT 1 OFFSET ?)",
		delete: "DELETE FROM " + table + " WHERE pid = ? AND seq BETWEEN 0 AND ? AND typeof(seq) = 'integer'",
		// SQLite knows the length of a blob without reading it.
		listID:   infos + "pid = ? AND seq <= ? FROM " + table + " WHERE pid = ? AND seq BETWEEN 0 AND ? AND typeof(seq) = 'integer' ORDER BY seq DESC LIMIT ?",
		listRest: infos + "pid > ? FROM " + table + " WHERE pid > ? AND seq >= 0 AND typeof(pid) = 'text' AND typeof(seq) = 'integer' ORDER BY pid, seq DESC LIMIT ?",
		check:    "SELECT typeof(pid), pid, typeof(seq), seq, ts, typeof(state), state FROM " + table,
	}
}

// snapshotOf returns what a row says, or ErrCorrupt and its number. The class is the
// storage class of its state.
func snapshotOf(id string, seq int64, ts any, class string, state []byte) (store.Snapshot, error) {
	damaged := store.Snapshot{SequenceNr: uint64(seq)}
	if class != "blob" && class != "text" {
		return damaged, fmt.Errorf("%w: sqlite: its state is of the storage class %s; wanted is blob or text", store.ErrCorrupt, class)
	}
	ms, ok := ts.(int64)
	if !ok {
		return damaged, fmt.Errorf("%w: sqlite: its timestamp is %.40q; wanted is an integer", store.ErrCorrupt, fmt.Sprint(ts))
	}
	return store.Snapshot{
		PersistenceID: id,
		SequenceNr:    uint64(seq),
		Timestamp:     time.UnixMilli(ms).UTC(),
		State:         state[:len(state):len(state)],
	}, nil
}
