package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// What SQLite sees of a damaged file, and what it doesn't.
//
// Its pages have no checksum. It notices what contradicts its format
// (https://sqlite.org/fileformat2.html): that is ErrCorrupt here. It can't notice
//
//   - other bytes within a state. Whoever wants to know puts compress or encrypt
//     above, whose checksums cover the stored state: the tests of package
//     store/stack damage files beneath zstd.
//   - pages of the index that are sound but stand where another should, or entries
//     with another key: the search takes a wrong turn, and finds an older snapshot or
//     none, or, if the key became that of another snapshot, the wrong one. PRAGMA
//     integrity_check, which compares the index with the table, finds all of that.
//   - the end of a WAL that is missing: it is what a crash leaves of a transaction
//     that was not committed.
//
// These are the cases below that may be silent. All others must be right or an error.

const damagedPageSize = 512 // the smallest: a short file with many pages of each kind

// intactSnapshots are in the file to be damaged.
func intactSnapshots() []store.Snapshot {
	var snaps []store.Snapshot
	content := rand.NewChaCha8([32]byte{'s', 't', 'a', 't', 'e'})
	for entity := range 6 {
		for nr, size := range []int{0, 20, 200, 700, 3000, 9000, 100, 100, 450, 1500} { // up to 18 pages
			state := make([]byte, size)
			_, _ = content.Read(state) // never fails
			snaps = append(snaps, store.Snapshot{
				PersistenceID: fmt.Sprintf("order-%d-%s", entity, strings.Repeat("x", 60)),
				SequenceNr:    uint64(nr),
				Timestamp:     time.UnixMilli(int64(nr)).UTC(),
				State:         state,
			})
		}
	}
	return snaps
}

// writeIntact writes a file with intactSnapshots and free pages, and calls look
// before it is closed. In WAL mode all of it is in the WAL then.
func writeIntact(t testing.TB, path string, mode sqlite.JournalMode, look func()) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // the page size is said on the connection that makes the file
	for _, statement := range []string{fmt.Sprint("PRAGMA page_size = ", damagedPageSize), seedSchema} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{JournalMode: mode})
	if err != nil {
		t.Fatal(err)
	}
	for _, snap := range intactSnapshots() {
		err := s.Save(context.Background(), snap)
		snap.PersistenceID = "deleted"
		if err := errors.Join(err, s.Save(context.Background(), snap)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(context.Background(), "deleted", store.MaxSequenceNr); err != nil {
		t.Fatal(err)
	}
	look()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// intactFile returns the bytes of such a file.
func intactFile(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "intact.db")
	writeIntact(t, path, sqlite.Delete, func() {})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// pagesByKind returns the numbers of the file's pages, from 0 on, by what they are.
func pagesByKind(data []byte) map[string][]int {
	word := func(at int) int { return int(binary.BigEndian.Uint32(data[at:])) }
	free := map[int]bool{}
	for trunk := word(32); trunk != 0; trunk = word((trunk - 1) * damagedPageSize) {
		at := (trunk - 1) * damagedPageSize
		free[trunk-1] = true
		for i := range word(at + 4) {
			free[word(at+8+4*i)-1] = true
		}
	}
	kinds := map[string][]int{}
	for page := range len(data) / damagedPageSize {
		kind := map[byte]string{2: "index interior", 5: "table interior", 10: "index leaf", 13: "table leaf"}[data[page*damagedPageSize]]
		switch {
		case page == 0:
			kind = "header"
		case free[page]:
			kind = "free"
		case kind == "":
			kind = "overflow" // which begins with the number of the next one, below 256
		}
		kinds[kind] = append(kinds[kind], page)
	}
	return kinds
}

// findings is what the snapshots of a damaged file turned out to be.
type findings struct {
	right  int
	errors []error

	// Wrong without an error:
	bytes []string // the state has other bytes, as many as it should
	lost  []string // it is an older snapshot, or none
	mixed []string // it is another snapshot's state
}

// examine calls everything on the file, and fails the test for what no damage
// excuses: a panic or a hang, or an error that says something else than what is the
// matter.
func examine(t *testing.T, path string) (found findings) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	failed := func(err error) bool {
		if err == nil {
			return false
		}
		for _, not := range []error{context.DeadlineExceeded, store.ErrInvalid, store.ErrNotFound, store.ErrTooLarge, store.ErrClosed} {
			if errors.Is(err, not) {
				t.Errorf("%v; want no %v", err, not)
			}
		}
		found.errors = append(found.errors, err)
		return true
	}
	s, err := sqlite.Open(ctx, path, sqlite.Options{JournalMode: sqlite.Delete, Synchronous: sqlite.Off})
	if errors.Is(err, store.ErrInvalid) { // the text of the schema is another, and stands for other columns
		found.errors = append(found.errors, err)
		return found
	}
	if failed(err) {
		return found
	}
	defer func() { failed(s.Close()) }()
	saved := intactSnapshots()
	for _, want := range saved {
		got, err := s.LoadBefore(ctx, want.PersistenceID, want.SequenceNr+1)
		switch {
		case errors.Is(err, store.ErrNotFound):
			found.lost = append(found.lost, fmt.Sprintf("%s at %d is not found", want.PersistenceID, want.SequenceNr))
		case failed(err):
		case got.PersistenceID == want.PersistenceID && got.SequenceNr == want.SequenceNr && got.Timestamp.Equal(want.Timestamp) && bytes.Equal(got.State, want.State):
			found.right++
		case got.SequenceNr == want.SequenceNr && slices.ContainsFunc(saved, func(other store.Snapshot) bool { return bytes.Equal(got.State, other.State) }):
			found.mixed = append(found.mixed, fmt.Sprintf("%s at %d", want.PersistenceID, want.SequenceNr))
		case got.SequenceNr == want.SequenceNr && len(got.State) == len(want.State):
			found.bytes = append(found.bytes, fmt.Sprintf("%s at %d", want.PersistenceID, want.SequenceNr))
		default:
			found.lost = append(found.lost, fmt.Sprintf("%s at %d is %d bytes at %d", want.PersistenceID, want.SequenceNr, len(got.State), got.SequenceNr))
		}
		if want.SequenceNr != 9 {
			continue
		}
		// LoadLatest and ViewLatest find the same, whatever it is.
		latest, err := s.LoadLatest(ctx, want.PersistenceID)
		if !errors.Is(err, store.ErrNotFound) {
			failed(err)
		}
		viewErr := s.ViewLatest(ctx, want.PersistenceID, func(lent store.Snapshot) error {
			if lent.SequenceNr != latest.SequenceNr || !bytes.Equal(lent.State, latest.State) {
				t.Errorf("%s: ViewLatest gave %d bytes at %d, LoadLatest %d bytes at %d", want.PersistenceID, len(lent.State), lent.SequenceNr, len(latest.State), latest.SequenceNr)
			}
			return nil
		})
		if fmt.Sprint(viewErr) != fmt.Sprint(err) {
			t.Errorf("%s: ViewLatest: %v; LoadLatest: %v", want.PersistenceID, viewErr, err)
		}
		for _, err := range s.List(ctx, want.PersistenceID) {
			failed(err)
		}
	}
	for _, err := range s.List(ctx, "") {
		failed(err)
	}
	// Writes may work or not, but they end. They are last: what they do to a damaged
	// file is anybody's guess.
	failed(s.Save(ctx, store.Snapshot{PersistenceID: "order-9", SequenceNr: 1, State: make([]byte, 2000)}))
	failed(s.Delete(ctx, saved[0].PersistenceID, store.MaxSequenceNr))
	return found
}

// integrity is what PRAGMA integrity_check says of the file.
func integrity(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // it may fail: the file is damaged
	var result string
	if err := db.QueryRow("SELECT group_concat(integrity_check, '; ') FROM pragma_integrity_check").Scan(&result); err != nil {
		return err.Error()
	}
	return result
}

// TestDamagedPages damages whole pages of each kind: two of each, or all where soak is
// set.
func TestDamagedPages(t *testing.T) {
	intact := intactFile(t)
	random := rand.New(rand.NewPCG(1, 2))
	content := rand.NewChaCha8([32]byte{})
	path := filepath.Join(t.TempDir(), "damaged.db")
	each := 2
	if os.Getenv(soak) == "1" {
		each = len(intact) // all
	}
	kinds := pagesByKind(intact)
	if len(kinds) != 7 {
		t.Fatalf("the file has pages of the kinds %v; want all 7", kinds)
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		pages := kinds[kind]
		random.Shuffle(len(pages), func(i, j int) { pages[i], pages[j] = pages[j], pages[i] })
		for _, d := range []struct {
			name   string
			damage func(page, another []byte)
		}{
			{"of zeros", func(page, _ []byte) { clear(page) }},
			{"of ones", func(page, _ []byte) { copy(page, bytes.Repeat([]byte{0xff}, len(page))) }},
			{"of noise", func(page, _ []byte) { _, _ = content.Read(page) }},
			{"half of zeros", func(page, _ []byte) { clear(page[len(page)/2:]) }},
			{"half of noise", func(page, _ []byte) { _, _ = content.Read(page[:len(page)/2]) }},
			{"that is double", func(page, another []byte) { copy(page, another) }},
			{"that is moved", swap},
		} {
			t.Run(kind+" "+d.name, func(t *testing.T) {
				for i, page := range pages[:min(each, len(pages))] {
					data := bytes.Clone(intact)
					of := func(page int) []byte { return data[page*damagedPageSize : (page+1)*damagedPageSize] }
					d.damage(of(page), of(pages[(i+1)%len(pages)]))
					if err := os.WriteFile(path, data, 0o600); err != nil {
						t.Fatal(err)
					}
					says := integrity(t, path)
					found := examine(t, path)
					for _, err := range found.errors {
						if !errors.Is(err, store.ErrCorrupt) {
							t.Errorf("page %d: %v; want ErrCorrupt", page, err)
						}
					}
					if len(found.bytes) > 0 && kind != "overflow" && kind != "table leaf" {
						t.Errorf("page %d: the states have other bytes of %q", page, found.bytes)
					}
					if len(found.mixed) > 0 {
						t.Errorf("page %d: mixed up are %q", page, found.mixed)
					}
					if len(found.lost) > 0 && (!strings.HasPrefix(kind, "index") || says == "ok") {
						t.Errorf("page %d, of which integrity_check says %q: lost are %q", page, says, found.lost)
					}
				}
			})
		}
	}
}

// TestDamagedHeader changes each byte of the file's header.
func TestDamagedHeader(t *testing.T) {
	intact := intactFile(t)
	path := filepath.Join(t.TempDir(), "damaged.db")
	for at := range 100 {
		data := bytes.Clone(intact)
		data[at]++
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		found := examine(t, path)
		if at == 20 {
			// How many bytes at the end of each page are not used. Where the pages are
			// all right with another number, states of several pages have a byte too
			// few of each.
			found.bytes = nil
		}
		if len(found.bytes) > 0 || len(found.lost) > 0 || len(found.mixed) > 0 {
			t.Errorf("byte %d is %#x: other bytes have %q, lost are %q, mixed up %q", at, data[at], found.bytes, found.lost, found.mixed)
		}
	}
}

// TestDamagedLength makes the file shorter and longer.
func TestDamagedLength(t *testing.T) {
	intact := intactFile(t)
	path := filepath.Join(t.TempDir(), "damaged.db")
	for _, length := range []int{1, 99, 100, 511, 512, 513, 1024, 1500, len(intact) / 2, len(intact) - 513, len(intact) - 512, len(intact) - 1} {
		if err := os.WriteFile(path, intact[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		found := examine(t, path)
		if len(found.bytes) > 0 || len(found.lost) > 0 || len(found.mixed) > 0 {
			t.Errorf("%d of %d bytes: other bytes have %q, lost are %q, mixed up %q", length, len(intact), found.bytes, found.lost, found.mixed)
		}
		// The last page may be one that nothing is missed of.
		if len(found.errors) == 0 && length < len(intact)-damagedPageSize {
			t.Errorf("%d of %d bytes: no errors", length, len(intact))
		}
	}
	for _, more := range []int{1, 511, 512, 5000} {
		if err := os.WriteFile(path, append(bytes.Clone(intact), bytes.Repeat([]byte{0xff}, more)...), 0o600); err != nil {
			t.Fatal(err)
		}
		if found := examine(t, path); found.right != len(intactSnapshots()) {
			t.Errorf("%d bytes more: %d right, errors %v; want all", more, found.right, found.errors)
		}
	}
}

// TestDamagedWAL damages what a crash leaves beside the file. The frames of a WAL
// have checksums, and what follows the first bad one was never committed as far as
// SQLite can know. So the snapshots must be those up to one of them, and intact.
func TestDamagedWAL(t *testing.T) {
	folder := t.TempDir()
	files := map[string][]byte{}
	writeIntact(t, filepath.Join(folder, "intact.db"), sqlite.WAL, func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			data, err := os.ReadFile(filepath.Join(folder, "intact.db"+suffix))
			if err != nil {
				t.Fatal(err)
			}
			files[suffix] = data
		}
	})
	path := filepath.Join(t.TempDir(), "damaged.db")
	check := func(name string, damage func(files map[string][]byte), all bool) {
		t.Helper()
		damaged := map[string][]byte{}
		for suffix, data := range files {
			damaged[suffix] = bytes.Clone(data)
		}
		damage(damaged)
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			err := os.Remove(path + suffix)
			if data := damaged[suffix]; data != nil {
				err = os.WriteFile(path+suffix, data, 0o600)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			t.Errorf("%s: Open: %v", name, err)
			return
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Errorf("%s: Close: %v", name, err)
			}
		}()
		found, ended := 0, false
		for _, want := range intactSnapshots() {
			got, err := s.LoadBefore(t.Context(), want.PersistenceID, want.SequenceNr+1)
			switch {
			case errors.Is(err, store.ErrNotFound), err == nil && got.SequenceNr < want.SequenceNr:
				ended = true
			case err != nil || !bytes.Equal(got.State, want.State):
				t.Errorf("%s: %s at %d: %d bytes, %v", name, want.PersistenceID, want.SequenceNr, len(got.State), err)
			case ended:
				t.Errorf("%s: %s at %d is there, and not the one before it", name, want.PersistenceID, want.SequenceNr)
			default:
				found++
			}
		}
		if all && found != len(intactSnapshots()) {
			t.Errorf("%s: %d of %d snapshots are there", name, found, len(intactSnapshots()))
		}
		save(t, s, "afterwards", 1, "one")
		wantLatest(t, s, "afterwards", 1, "one")
		if says := integrity(t, path); says != "ok" {
			t.Errorf("%s: integrity_check says %q", name, says)
		}
	}
	wal := len(files["-wal"])
	check("nothing damaged", func(map[string][]byte) {}, true)
	check("index of ones", func(f map[string][]byte) { copy(f["-shm"], bytes.Repeat([]byte{0xff}, len(f["-shm"]))) }, true)
	check("index of zeros", func(f map[string][]byte) { clear(f["-shm"]) }, true)
	check("index missing", func(f map[string][]byte) { f["-shm"] = nil }, true)
	check("index short", func(f map[string][]byte) { f["-shm"] = f["-shm"][:100] }, true)
	check("a journal of noise", func(f map[string][]byte) { f["-journal"] = bytes.Repeat([]byte("noise"), 500) }, true)
	check("more behind the WAL", func(f map[string][]byte) { f["-wal"] = append(f["-wal"], bytes.Repeat([]byte{7}, 3000)...) }, true)
	check("WAL missing", func(f map[string][]byte) { f["-wal"] = nil }, false)
	check("WAL of zeros", func(f map[string][]byte) { clear(f["-wal"]) }, false)
	for at := range 32 {
		check(fmt.Sprintf("byte %d of the WAL's header", at), func(f map[string][]byte) { f["-wal"][at] ^= 0x10 }, false)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		at := random.IntN(wal)
		check(fmt.Sprintf("byte %d of %d of the WAL", at, wal), func(f map[string][]byte) { f["-wal"][at] ^= 0x10 }, false)
		check(fmt.Sprintf("%d bytes of %d of the WAL", at, wal), func(f map[string][]byte) { f["-wal"] = f["-wal"][:at] }, false)
	}
}

// TestDamageWhileOpen cuts the file off under a store that has it open.
func TestDamageWhileOpen(t *testing.T) {
	for _, length := range []int64{0, 100, 512, 5000, 50_000} {
		path := filepath.Join(t.TempDir(), "damaged.db")
		writeIntact(t, path, sqlite.Delete, func() {})
		s, err := sqlite.Open(t.Context(), path, sqlite.Options{JournalMode: sqlite.Delete})
		if err != nil {
			t.Fatal(err)
		}
		want := intactSnapshots()[9]
		wantLatest(t, s, want.PersistenceID, want.SequenceNr, string(want.State))
		if err := os.Truncate(path, length); err != nil {
			t.Fatal(err)
		}
		for _, want := range intactSnapshots() {
			got, err := s.LoadBefore(t.Context(), want.PersistenceID, want.SequenceNr+1)
			if errors.Is(err, store.ErrNotFound) || err == nil && (got.SequenceNr != want.SequenceNr || !bytes.Equal(got.State, want.State)) {
				t.Errorf("cut to %d bytes: %s at %d: %d bytes at %d, %v; want the snapshot or an error", length, want.PersistenceID, want.SequenceNr, len(got.State), got.SequenceNr, err)
			}
		}
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-9", State: []byte("state")}); err == nil {
			wantLatest(t, s, "order-9", 0, "state")
		}
		_ = s.Close() // it may fail
	}
}

// TestFallbackFromADamagedRow finds the snapshot before one whose pages are damaged:
// the error says which that is.
func TestFallbackFromADamagedRow(t *testing.T) {
	data := intactFile(t)
	latest, before := intactSnapshots()[9], intactSnapshots()[8]
	at := bytes.Index(data, latest.State[:100])
	clear(data[at-at%damagedPageSize:][:damagedPageSize])
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	inner := openFile(t, path, sqlite.Options{})
	var passed []uint64
	s, err := store.NewFallback(inner, store.FallbackOptions{OnCorrupt: func(_ string, nr uint64, _ error) { passed = append(passed, nr) }})
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	_, err = inner.LoadLatest(t.Context(), latest.PersistenceID)
	var named *store.Error
	if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.SequenceNr != latest.SequenceNr {
		t.Errorf("LoadLatest: %v; want ErrCorrupt at %d", err, latest.SequenceNr)
	}
	wantLatest(t, s, latest.PersistenceID, before.SequenceNr, string(before.State))
	if !slices.Equal(passed, []uint64{latest.SequenceNr}) {
		t.Errorf("passed over were %d; want %d alone", passed, latest.SequenceNr)
	}
}
