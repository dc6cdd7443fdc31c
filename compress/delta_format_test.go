package compress_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// The records of testdata/delta are of two snapshots and their base, as version 1 wrote
// them: every later version must read them. They are never written again.
var deltaGoldens = []struct {
	file   string // in testdata/delta
	stands string // the id in the inner store
	number uint64
}{
	{"v1-base", id + "~delta~writer", 1793491200000 << 20},
	{"v1-same", id, 1},
	{"v1-difference", id, 2},
	{"v1-whole", id, 3},
}

// deltaStates are the states of the golden snapshots 1 to 3.
func deltaStates() [][]byte {
	state := jsonState(3000)
	changed := append(bytes.Clone(state[:700]), `"inserted":true,`...)
	changed = append(changed, state[700:2000]...)
	changed = append(changed, state[2100:]...)
	return [][]byte{state, changed, []byte("a small state")}
}

func TestDeltaGolden(t *testing.T) {
	if *writeGolden {
		writeDeltaGoldens(t)
	}
	inner := mustMemory(t, 0)
	for _, golden := range deltaGoldens {
		record, err := os.ReadFile(filepath.Join("testdata", "delta", golden.file))
		if err == nil {
			err = inner.Save(t.Context(), store.Snapshot{PersistenceID: golden.stands, SequenceNr: golden.number, State: record})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d := mustDelta(t, inner, compress.DeltaOptions{})
	defer mustClose(t, d)
	for i, state := range deltaStates() {
		snap, err := d.LoadBefore(t.Context(), id, uint64(i+2))
		if err != nil || snap.SequenceNr != uint64(i+1) || !bytes.Equal(snap.State, state) {
			t.Errorf("number %d of version 1: %d bytes, %v", i+1, len(snap.State), err)
		}
	}
}

// Records byte by byte, as the package doc says.
func TestDeltaRecords(t *testing.T) {
	const (
		magic, end = "89644c740d0a1ae7", "e7656e640a00d189"
		sum        = "498839d823196775" // XXH64 of the state of 3000 bytes
	)
	for file, want := range map[string]string{
		"v1-whole": magic + "0101" + "0d" + hex.EncodeToString([]byte("a small state")) + "ff084690" + end,
		"v1-same": magic + "0102" + "b817" + "06" + hex.EncodeToString([]byte("writer")) + "000000807e46191a" + sum + sum +
			"04" + "00b81700" + "5f7fe25d" + end,
	} {
		record, err := os.ReadFile(filepath.Join("testdata", "delta", file))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(record); got != want {
			t.Errorf("%s is %s; want %s", file, got, want)
		}
	}
}

func goldenTime() time.Time { return time.UnixMilli(1793491200000) }

func writeDeltaGoldens(t *testing.T) {
	inner := mustMemory(t, 0)
	d := mustDelta(t, shared{inner}, compress.DeltaOptions{MinBytes: 1000, Writer: "writer", Now: goldenTime})
	for i, state := range deltaStates() {
		mustSave(t, d, uint64(i+1), state)
	}
	for _, golden := range deltaGoldens {
		snap, err := inner.LoadBefore(t.Context(), golden.stands, golden.number+1)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", "delta", golden.file)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, snap.State, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// damagedDelta puts records under a Delta.
type damagedDelta struct {
	inner  *memory.Store
	stands string // of the base
	base   uint64
}

func newDamagedDelta(t testing.TB) damagedDelta {
	t.Helper()
	d := damagedDelta{inner: mustMemory(t, 0)}
	writer := mustDelta(t, shared{d.inner}, compress.DeltaOptions{MinBytes: -1, MaxShare: 1})
	state := jsonState(300)
	mustSave(t, writer, 1, state)
	mustSave(t, writer, 2, append([]byte("something in front of "), state...))
	if stats := writer.Stats(); stats.Bases != 1 || stats.Differences != 2 {
		t.Fatalf("%+v; want one base", stats)
	}
	mustClose(t, writer)
	stands, numbers := basesOf(t, d.inner)
	d.stands, d.base = stands, numbers[0]
	return d
}

// wantCorrupt checks that a load of number 2 with that record is ErrCorrupt.
func (d damagedDelta) wantCorrupt(t *testing.T, of string, number uint64, record []byte, what string, at int) {
	t.Helper()
	if err := d.inner.Save(t.Context(), store.Snapshot{PersistenceID: of, SequenceNr: number, State: record}); err != nil {
		t.Fatal(err)
	}
	reader := mustDelta(t, shared{d.inner}, compress.DeltaOptions{})
	defer mustClose(t, reader)
	for name, load := range loads(reader) {
		if err := load(t.Context()); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("%s with %s at %d of %q: %v; want ErrCorrupt", name, what, at, of, err)
		}
	}
}

func TestDeltaDamageIsCorrupt(t *testing.T) {
	d := newDamagedDelta(t)
	for of, number := range map[string]uint64{id: 2, d.stands: d.base} {
		snap, err := d.inner.LoadBefore(t.Context(), of, number+1)
		if err != nil {
			t.Fatal(err)
		}
		record := snap.State
		for at := range record {
			for bit := range 8 {
				flipped := bytes.Clone(record)
				flipped[at] ^= 1 << bit
				d.wantCorrupt(t, of, number, flipped, "a flipped bit", at)
			}
			d.wantCorrupt(t, of, number, append(bytes.Clone(record[:at]), record[at+1:]...), "a byte missing", at)
			d.wantCorrupt(t, of, number, append(append(bytes.Clone(record[:at]), 'x'), record[at:]...), "a byte added", at)
			if at >= 4 {
				d.wantCorrupt(t, of, number, record[:at], "the end cut off", at)
			}
		}
		if err := d.inner.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
	}
	reader := mustDelta(t, shared{d.inner}, compress.DeltaOptions{})
	defer mustClose(t, reader)
	if snap, err := reader.LoadLatest(t.Context(), id); err != nil || snap.SequenceNr != 2 {
		t.Errorf("when it was put right: %v", err)
	}
}

// closedRecord ends what stands in unfinished like a record.
func closedRecord(unfinished []byte) []byte {
	sum := crc32.Checksum(unfinished, crc32.MakeTable(crc32.Castagnoli))
	return append(binary.LittleEndian.AppendUint32(bytes.Clone(unfinished), sum), "\xe7end\x0a\x00\xd1\x89"...)
}

// A difference of the right form that leads to another state than was saved.
func TestDeltaLyingDifference(t *testing.T) {
	d := newDamagedDelta(t)
	snap, err := d.inner.LoadBefore(t.Context(), id, 3)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(snap.State, []byte("in front of"))
	if at < 0 {
		t.Fatal("the literals are not where they should be")
	}
	lying := bytes.Clone(snap.State[:len(snap.State)-12])
	lying[at] ^= 1
	d.wantCorrupt(t, id, 2, closedRecord(lying), "another literal", at)
}

// FuzzDelta loads any record.
func FuzzDelta(f *testing.F) {
	for _, golden := range deltaGoldens {
		record, err := os.ReadFile(filepath.Join("testdata", "delta", golden.file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record, true)
		f.Add(record[:len(record)-12], false)
	}
	d := newDamagedDelta(f)
	const limit = 64 << 10
	f.Fuzz(func(t *testing.T, record []byte, asItIs bool) {
		if !asItIs {
			record = closedRecord(record) // with the right checksum, which is what gets far
		}
		if err := d.inner.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: 2, State: record}); err != nil {
			t.Fatal(err)
		}
		reader := mustDelta(t, shared{d.inner}, compress.DeltaOptions{MaxStateBytes: limit})
		defer mustClose(t, reader)
		snap, err := reader.LoadLatest(t.Context(), id)
		if err == nil && len(snap.State) > limit && !bytes.Equal(snap.State, record) {
			t.Fatalf("a state of %d bytes", len(snap.State))
		}
		if errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	})
}
