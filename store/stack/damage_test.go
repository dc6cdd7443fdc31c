package stack_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

// SQLite has no checksum on its pages: what else stands in the bytes of a state it
// gives as it is. Beneath zstd, whose frames have checksums, such a state is
// ErrCorrupt.

// damagedStates are saved under the id "order-1", at 0 and on.
func damagedStates() [][]byte {
	noise := make([]byte, 30_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // never fails
	var text bytes.Buffer
	for line := range 4000 {
		fmt.Fprintf(&text, `{"line":%d,"article":%d,"price":"%d.99"},`, line, noise[line], noise[line+1])
	}
	return [][]byte{
		{},
		[]byte("small"),
		bytes.Repeat([]byte("small, but it shrinks; "), 20),
		noise, // which does not shrink
		text.Bytes(),
	}
}

// openDamaged opens zstd over the file, which is new or has damagedStates.
func openDamaged(t *testing.T, path string) (store.SnapshotStore, error) {
	t.Helper()
	return stack.Open(t.Context(), fmt.Sprintf("zstd | sqlite(path=%q,journal=delete,sync=off)", path))
}

func writeStates(t *testing.T, path string) {
	t.Helper()
	s, err := openDamaged(t, path)
	if err != nil {
		t.Fatal(err)
	}
	for nr, state := range damagedStates() {
		snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: uint64(nr), State: state, Timestamp: time.UnixMilli(1)}
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedBytesBeneathZstd changes each byte of what is stored of each state, or
// many of the long ones.
func TestFlippedBytesBeneathZstd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	writeStates(t, path)
	s, err := openDamaged(t, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for nr := range damagedStates() {
		var stored []byte
		if err := db.QueryRow("SELECT state FROM snapshots WHERE seq = ?", nr).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		set := func(state []byte) {
			if _, err := db.Exec("UPDATE snapshots SET state = ? WHERE seq = ?", state, nr); err != nil {
				t.Fatal(err)
			}
		}
		for at := 0; at < len(stored); at += 1 + len(stored)/60 {
			damaged := bytes.Clone(stored)
			damaged[at] ^= 1 << (at % 8)
			set(damaged)
			wantCorrupt(t, s, uint64(nr), fmt.Sprintf("byte %d of %d flipped", at, len(stored)))
		}
		set(stored)
	}
}

func wantCorrupt(t *testing.T, s store.SnapshotStore, nr uint64, what string) {
	t.Helper()
	var named *store.Error
	snap, err := s.LoadBefore(t.Context(), "order-1", nr+1)
	if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.SequenceNr != nr {
		t.Errorf("%s: LoadBefore gave %d bytes at %d, %v; want ErrCorrupt at %d", what, len(snap.State), snap.SequenceNr, err, nr)
	}
}

// TestDamagedPagesBeneathZstd damages each page of the file that has parts of states.
// The index and the header are SQLite's to check, in the tests of package sqlite.
func TestDamagedPagesBeneathZstd(t *testing.T) {
	folder := t.TempDir()
	writeStates(t, filepath.Join(folder, "intact.db"))
	intact, err := os.ReadFile(filepath.Join(folder, "intact.db"))
	if err != nil {
		t.Fatal(err)
	}
	pageSize := int(intact[16])<<8 | int(intact[17])
	var pages []int
	for page := 1; page < len(intact)/pageSize; page++ {
		if kind := intact[page*pageSize]; kind != 2 && kind != 10 { // pages of an index, see https://sqlite.org/fileformat2.html#b_tree_pages
			pages = append(pages, page)
		}
	}
	noise := rand.NewChaCha8([32]byte{1})
	corrupt := 0
	for i, page := range pages {
		for _, d := range []struct {
			name   string
			damage func(page, another []byte)
		}{
			{"of zeros", func(page, _ []byte) { clear(page) }},
			{"of noise", func(page, _ []byte) { _, _ = noise.Read(page) }},
			{"whose content is noise", func(page, _ []byte) { _, _ = noise.Read(page[4:]) }}, // of an overflow page; the chain goes on
			{"with a byte flipped", func(page, _ []byte) { page[pageSize-1] ^= 1 }},
			{"that is moved", func(page, another []byte) {
				was := bytes.Clone(page)
				copy(page, another)
				copy(another, was)
			}},
		} {
			data := bytes.Clone(intact)
			of := func(page int) []byte { return data[page*pageSize : (page+1)*pageSize] }
			d.damage(of(page), of(pages[(i+1)%len(pages)]))
			path := filepath.Join(folder, "damaged.db")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openDamaged(t, path)
			if err != nil {
				t.Fatal(err)
			}
			for nr, want := range damagedStates() {
				got, err := s.LoadBefore(t.Context(), "order-1", uint64(nr)+1)
				if errors.Is(err, store.ErrCorrupt) {
					corrupt++
				} else if err != nil || got.SequenceNr != uint64(nr) || !bytes.Equal(got.State, want) {
					t.Errorf("page %d %s: LoadBefore(%d) gave %d bytes at %d, %v; want what was saved or ErrCorrupt", page, d.name, nr+1, len(got.State), got.SequenceNr, err)
				}
			}
			// The file is damaged: what Close says of it is of no interest.
			_ = s.Close()
		}
	}
	if corrupt < 3*len(pages) {
		t.Errorf("%d loads of %d damaged pages found something corrupt: the damage is not what it should be", corrupt, len(pages))
	}
}
