package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"testing"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// TestListOfADamagedIndexEnds swaps pages of the index. Each page is sound in
// itself, which is all that SQLite looks at, and a listing that goes on behind the
// last id that it saw may come back to where it was.
func TestListOfADamagedIndexEnds(t *testing.T) {
	const snapshots = 1300 // of which List reads several pages
	path := snapshotsDB(t, t.TempDir())
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // the page size is said on the connection that makes the file
	mustExec(t, db, "PRAGMA page_size = 1024")
	mustExec(t, db, seedSchema)
	mustExec(t, db, `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 1299)
		INSERT INTO snapshots SELECT format('order-%06d', i), 1, X'01', 0 FROM n`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	intact, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const indexLeaf = 10 // the first byte of such a page, see https://sqlite.org/fileformat2.html#b_tree_pages
	var leaves [][]byte
	damaged := append([]byte(nil), intact...)
	for at := 1024; at < len(damaged); at += 1024 {
		if damaged[at] == indexLeaf {
			leaves = append(leaves, damaged[at:at+1024])
		}
	}
	t.Logf("%d pages of the index", len(leaves))
	refused := 0
	for i := range leaves[1:] {
		swap(leaves[0], leaves[i+1])
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s := openFile(t, path, sqlite.Options{JournalMode: sqlite.Delete})
		listed := 0
		for _, err := range s.List(t.Context(), "") {
			if err != nil {
				refused++
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("pages 0 and %d swapped: List: %v; want ErrCorrupt", i+1, err)
				}
				break
			}
			if listed++; listed > 2*snapshots {
				t.Fatalf("pages 0 and %d swapped: List goes on and on", i+1)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		swap(leaves[0], leaves[i+1])
	}
	if refused == 0 {
		t.Error("no listing was refused: the damage is not what it should be")
	}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}
