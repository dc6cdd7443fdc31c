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
	// load calls lend with the newest snapshot of the id at or below highest, or
	// returns ErrNotFound. With ErrCorrupt it returns the number of that snapshot,
	// otherwise 0. A state that is borrowed ends with lend.
	load(ctx context.Context, id string, highest int64, lend func(snap store.Snapshot, borrowed bool)) (at uint64, err error)

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
	load, loadClass, loadNr, save, prune, delete, listID, listRest, check string
}

func statementsFor(table string) statements {
	// What another program wrote and no Save could have is not looked at: numbers
	// that are negative or no integers, and ids that are no text.
	const infos = "SELECT pid, seq, CASE typeof(state) WHEN 'blob' THEN length(state) ELSE length(CAST(state AS BLOB)) END, "
	// The primary key's index gives these in order, newest first.
	newest := " FROM " + table + " WHERE pid = ? AND seq BETWEEN 0 AND ? AND typeof(seq) = 'integer' ORDER BY seq DESC LIMIT 1"
	return statements{
		load:      "SELECT seq, ts, state" + newest,
		loadClass: "SELECT seq, ts, typeof(state), state" + newest,
		loadNr:    "SELECT seq" + newest, // the index alone has it
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

// snapshotOf returns what a row says. The class is the storage class of its state.
func snapshotOf(id string, seq int64, ts any, class string, state []byte) (store.Snapshot, error) {
	if class != "blob" && class != "text" {
		return store.Snapshot{}, fmt.Errorf("%w: sqlite: its state is of the storage class %s; wanted is blob or text", store.ErrCorrupt, class)
	}
	ms, ok := ts.(int64)
	if !ok {
		return store.Snapshot{}, fmt.Errorf("%w: sqlite: its timestamp is %.40q; wanted is an integer", store.ErrCorrupt, fmt.Sprint(ts))
	}
	return store.Snapshot{
		PersistenceID: id,
		SequenceNr:    uint64(seq),
		Timestamp:     time.UnixMilli(ms).UTC(),
		State:         state[:len(state):len(state)],
	}, nil
}
