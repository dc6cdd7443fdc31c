package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// ErrConflict says that the sequence number is taken: somebody else has written to the
// account since it was woken.
var ErrConflict = errors.New("account: another writer was faster; wake the account again")

// A Record is an event in its place in the journal.
type Record struct {
	SequenceNr uint64 // 1 for the first of an account
	Event      Event
	Bytes      int // that the event takes in the journal
}

// Journal is a table of events in a SQLite database, which may hold other tables, as that
// of the snapshots.
type Journal struct {
	db *sql.DB
}

// OpenJournal creates the table where there is none. The database stays the caller's, as
// do its settings: how durable an append is, is what PRAGMA synchronous says.
func OpenJournal(ctx context.Context, db *sql.DB) (*Journal, error) {
	const table = "CREATE TABLE IF NOT EXISTS journal (pid TEXT NOT NULL, seq INTEGER NOT NULL, event BLOB NOT NULL, PRIMARY KEY (pid, seq)) WITHOUT ROWID"
	if _, err := db.ExecContext(ctx, table); err != nil {
		return nil, fmt.Errorf("account: create the journal: %w", err)
	}
	return &Journal{db: db}, nil
}

// Append writes an event at a sequence number, or returns ErrConflict where there is one.
// After any other error the event may or may not be in the journal.
func (j *Journal) Append(ctx context.Context, id string, nr uint64, e Event) (Record, error) {
	encoded, err := json.Marshal(e)
	if err != nil {
		return Record{}, fmt.Errorf("account: encode the event %d of %q: %w", nr, id, err)
	}
	done, err := j.db.ExecContext(ctx, "INSERT INTO journal (pid, seq, event) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", id, int64(nr), encoded)
	if err != nil {
		return Record{}, fmt.Errorf("account: append the event %d of %q: %w", nr, id, err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return Record{}, errors.Join(ErrConflict, err)
	}
	return Record{SequenceNr: nr, Event: e, Bytes: len(encoded)}, nil
}

// After yields the events of an account that come after a sequence number, in order. An
// error is yielded last. A number that is missing is an error.
func (j *Journal) After(ctx context.Context, id string, nr uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := j.after(ctx, id, nr, yield); err != nil {
			yield(Record{}, fmt.Errorf("account: read the journal of %q: %w", id, err))
		}
	}
}

func (j *Journal) after(ctx context.Context, id string, nr uint64, yield func(Record, error) bool) (err error) {
	rows, err := j.db.QueryContext(ctx, "SELECT seq, event FROM journal WHERE pid = ? AND seq > ? ORDER BY seq", id, int64(nr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var record Record
		var encoded []byte
		if err := rows.Scan(&record.SequenceNr, &encoded); err != nil {
			return err
		}
		if nr++; record.SequenceNr != nr {
			return fmt.Errorf("event %d is missing; the next is %d", nr, record.SequenceNr)
		}
		if err := json.Unmarshal(encoded, &record.Event); err != nil {
			return fmt.Errorf("event %d: %w", nr, err)
		}
		record.Bytes = len(encoded)
		if !yield(record, nil) {
			return nil
		}
	}
	return rows.Err()
}
