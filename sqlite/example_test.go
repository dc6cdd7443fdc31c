package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// A file for snapshots alone.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	snapshots, err := sqlite.Open(ctx, filepath.Join(dir, "snapshots.db"), sqlite.Options{Keep: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close()

	err = snapshots.Save(ctx, store.Snapshot{PersistenceID: "order-42", SequenceNr: 7, State: []byte("paid")})
	fmt.Println(err) // nil: it is on the disk

	snap, err := snapshots.LoadLatest(ctx, "order-42")
	fmt.Printf("%d %s %v\n", snap.SequenceNr, snap.State, err)
	// Output:
	// <nil>
	// 7 paid <nil>
}

// Snapshots beside the tables of an application, in one file and through one sql.DB. The
// folder examples/bank is a whole program of this kind.
func ExampleNew() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	db, err := sql.Open("sqlite", filepath.Join(dir, "application.db")+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() // after the Store, which leaves it open
	if _, err := db.ExecContext(ctx, "CREATE TABLE journal (pid TEXT, seq INTEGER, event BLOB, PRIMARY KEY (pid, seq))"); err != nil {
		fmt.Println(err)
		return
	}
	snapshots, err := sqlite.New(ctx, db, sqlite.Options{Table: "order_snapshots"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close()

	err = snapshots.Save(ctx, store.Snapshot{PersistenceID: "order-42", SequenceNr: 7, State: []byte("paid")})
	if err != nil {
		fmt.Println(err)
		return
	}
	var state string
	err = db.QueryRowContext(ctx, "SELECT state FROM order_snapshots WHERE pid = ? ORDER BY seq DESC", "order-42").Scan(&state)
	fmt.Println(state, err)
	// Output: paid <nil>
}
