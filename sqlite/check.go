package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/snapstack/snapstack/store"
)

// integrityErrors is how many damages of the file Check names at most.
const integrityErrors = 10

// Check reads everything: it has SQLite check the whole file (PRAGMA integrity_check),
// the tables of others included, and then reads every row of the table, each of which
// must be a snapshot that a load gives back. Damage is ErrCorrupt; where a row is
// damaged the error names the id and the sequence number, as far as they can be read,
// of the first one that is.
//
// It holds one state at a time in memory. What is saved while it runs is not read, and
// in WAL the WAL grows as long. In memory all other calls wait for it.
func (s *Store) Check(ctx context.Context) error {
	at, err := s.check(ctx)
	return store.Wrap(store.OpCheck, at.PersistenceID, at.SequenceNr, cause(ctx, err))
}

func (s *Store) check(ctx context.Context) (at store.Info, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return at, err
	}
	defer s.gate.Leave()
	err = s.retryBusy(ctx, time.Time{}, func() error {
		return s.db.maintain(ctx, func(conn *sql.Conn) error {
			damage := checkIntegrity(ctx, conn)
			if damage != nil && !errors.Is(damage, store.ErrCorrupt) {
				return damage
			}
			at, err = s.checkRows(ctx, conn)
			if errors.Is(damage, store.ErrCorrupt) && (err == nil || errors.Is(err, store.ErrCorrupt)) {
				return errors.Join(err, damage)
			}
			return err
		})
	})
	return at, err
}

// checkIntegrity returns what SQLite finds wrong with the file.
func checkIntegrity(ctx context.Context, conn *sql.Conn) (err error) {
	rows, err := conn.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", integrityErrors))
	if err != nil {
		return asDamage(err)
	}
	defer func() { err = asDamage(errors.Join(err, rows.Close())) }()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(found) > 0 {
		return fmt.Errorf("%w: sqlite: integrity_check: %s", store.ErrCorrupt, strings.Join(found, "; "))
	}
	return nil
}

// checkRows reads every row, and returns which of them is damaged.
func (s *Store) checkRows(ctx context.Context, conn *sql.Conn) (at store.Info, err error) {
	rows, err := conn.QueryContext(ctx, s.sql.check)
	if err != nil {
		return at, asDamage(err)
	}
	defer func() { err = asDamage(errors.Join(err, rows.Close())) }()
	for rows.Next() {
		var id, state sql.RawBytes
		var idClass, seqClass, stateClass string
		var seq, ts any
		if err := rows.Scan(&idClass, &id, &seqClass, &seq, &ts, &stateClass, &state); err != nil {
			return at, err
		}
		if idClass != "text" || store.CheckID(string(id)) != nil {
			return at, fmt.Errorf("%w: sqlite: a row has the id %.100q (%s), which no snapshot can have", store.ErrCorrupt, id, idClass)
		}
		nr, isInteger := seq.(int64)
		if !isInteger || nr < 0 {
			at.PersistenceID = string(id)
			return at, fmt.Errorf("%w: sqlite: a row has the sequence number %.100q (%s), which no snapshot can have", store.ErrCorrupt, fmt.Sprint(seq), seqClass)
		}
		if _, err := snapshotOf(string(id), nr, ts, stateClass, state); err != nil {
			return store.Info{PersistenceID: string(id), SequenceNr: uint64(nr)}, err
		}
	}
	return at, rows.Err()
}

// asDamage returns err as ErrCorrupt where SQLite says that the file is damaged.
func asDamage(err error) error {
	if isDamage(err) && !errors.Is(err, store.ErrCorrupt) {
		return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return err
}
