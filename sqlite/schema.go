package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/snapstack/snapstack/store"
)

// columns are those of the table, as PRAGMA table_info and index_xinfo give them.
var columns = []column{
	{"pid", "TEXT", true, 1, "BINARY"},
	{"seq", "INTEGER", true, 2, "BINARY"},
	{"state", "BLOB", true, 0, ""},
	{"ts", "INTEGER", true, 0, ""},
}

type column struct {
	name, kind string
	notNull    bool
	key        int    // place in the primary key, from 1 on; 0 for none
	collation  string // of the primary key: under NOCASE the ids "a" and "A" would be one
}

func (c column) String() string {
	s := c.name + " " + c.kind
	if c.notNull {
		s += " NOT NULL"
	}
	if c.collation != "" && c.collation != "BINARY" {
		s += " COLLATE " + c.collation
	}
	if c.key > 0 {
		s += fmt.Sprintf(" (%d in the primary key)", c.key)
	}
	return s
}

// createTable makes the table where there is none, and checks the one that is there.
func createTable(ctx context.Context, db *sql.DB, table string) error {
	exists, err := checkTable(ctx, db, table)
	if err != nil || exists {
		return err
	}
	// Another process may do the same now: then this does nothing.
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS "`+table+`" (pid TEXT NOT NULL, seq INTEGER NOT NULL,
    state BLOB NOT NULL, ts INTEGER NOT NULL, PRIMARY KEY (pid, seq))`)
	if err != nil {
		return err
	}
	_, err = checkTable(ctx, db, table)
	return err
}

// checkTable says whether the table exists, with an error where it does with other
// columns. It only reads.
func checkTable(ctx context.Context, db *sql.DB, table string) (exists bool, err error) {
	var kind string
	err = db.QueryRowContext(ctx, "SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view', 'index')", table).Scan(&kind)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if kind != "table" {
		return false, fmt.Errorf("%w Table %q: it is the name of a %s there", store.ErrInvalid, table, kind)
	}
	found, err := columnsOf(ctx, db, table)
	if err != nil {
		return false, err
	}
	var differences []string
	for _, want := range columns {
		got, ok := found[want.name]
		switch {
		case !ok:
			differences = append(differences, fmt.Sprintf("the column %s is missing", want))
		case got != want:
			differences = append(differences, fmt.Sprintf("there is a column %s instead of %s", got, want))
		}
		delete(found, want.name)
	}
	for _, extra := range found {
		differences = append(differences, fmt.Sprintf("there is a column %s that is not known", extra))
	}
	if len(differences) > 0 {
		return false, fmt.Errorf("%w Table %q: it exists and is no table of snapshots: %s", store.ErrInvalid, table, strings.Join(differences, ", "))
	}
	return true, nil
}

// hasRowid says whether the table has rowids. One that another program made WITHOUT
// ROWID has none.
func hasRowid(ctx context.Context, db *sql.DB, table string) (bool, error) {
	rows, err := db.QueryContext(ctx, "SELECT rowid FROM "+table+" LIMIT 0")
	if err != nil {
		if strings.Contains(err.Error(), "no such column") {
			return false, nil
		}
		return false, err
	}
	defer rows.Close() // of nothing
	for rows.Next() {
	}
	if err := rows.Err(); err != nil && strings.Contains(err.Error(), "no such column") {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

func columnsOf(ctx context.Context, db *sql.DB, table string) (found map[string]column, err error) {
	rows, err := db.QueryContext(ctx, `SELECT c.name, c.type, c."notnull", c.pk, coalesce(
		(SELECT x.coll FROM pragma_index_list(?) i, pragma_index_xinfo(i.name) x WHERE i.origin = 'pk' AND x.key AND x.name = c.name), '')
		FROM pragma_table_info(?) c`, table, table)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found = make(map[string]column)
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.kind, &c.notNull, &c.key, &c.collation); err != nil {
			return nil, err
		}
		c.name, c.kind, c.collation = strings.ToLower(c.name), strings.ToUpper(c.kind), strings.ToUpper(c.collation)
		found[c.name] = c
	}
	return found, rows.Err()
}
