package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/snapstack/snapstack/store"
)

// listPage is how many rows List reads at a time.
const listPage = 500

// Keep implements store.Keeper.
func (s *Store) Keep() int { return s.opts.Keep }

// List implements store.Lister. Ids come in the order of their bytes. It reads
// page by page and holds no connection while the loop body runs.
func (s *Store) List(ctx context.Context, persistenceID string) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		fail := func(err error) {
			yield(store.Info{}, store.Wrap(store.OpList, persistenceID, 0, err))
		}
		// The page goes on within id, below the number next. In a listing of all
		// ids, those after it follow.
		id, next := persistenceID, int64(math.MaxInt64)
		within := id != ""
		if within {
			if err := store.CheckID(id); err != nil {
				fail(err)
				return
			}
		}
		for {
			page, err := s.page(ctx, within, id, next)
			if err != nil {
				fail(err)
				return
			}
			for _, info := range page {
				// A row that no Save wrote and no load can reach is no snapshot.
				if store.CheckID(info.PersistenceID) != nil {
					continue
				}
				if !yield(info, nil) {
					return
				}
			}
			switch {
			case len(page) == listPage:
				last := page[len(page)-1]
				id, next, within = last.PersistenceID, int64(last.SequenceNr)-1, true
			case within && persistenceID == "":
				within = false // id is done
			default:
				return
			}
		}
	}
}

// page reads the rows of the id up to highest, or those of the ids after it.
func (s *Store) page(ctx context.Context, within bool, id string, highest int64) (page []store.Info, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	query, args := s.sql.listRest, []any{id, id, listPage}
	if within {
		query, args = s.sql.listID, []any{id, highest, id, highest, listPage}
	}
	err = s.retryBusy(ctx, time.Time{}, func() error {
		return s.db.read(ctx, func(conn *sql.Conn) error {
			page, err = readPage(ctx, conn, query, args)
			return err
		})
	})
	return page, cause(ctx, err)
}

func readPage(ctx context.Context, conn *sql.Conn, query string, args []any) (page []store.Info, err error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var info store.Info
		var seq int64
		var asked bool
		if err := rows.Scan(&info.PersistenceID, &seq, &info.StoredBytes, &asked); err != nil {
			return nil, err
		}
		if !asked {
			// SQLite looks for the first row only and takes the order of the others
			// as given. Where pages of the index are mixed up, a listing that went on
			// behind such a row might come by again and again.
			return nil, fmt.Errorf("%w: sqlite: the index of the table is out of order", store.ErrCorrupt)
		}
		info.SequenceNr = uint64(seq)
		page = append(page, info)
	}
	return page, rows.Err()
}
