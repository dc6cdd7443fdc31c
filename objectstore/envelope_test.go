package objectstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/store"
)

// pinned is the snapshot in testdata/object-v1, which was made from the format's
// description by another program. Objects of version 1 must be readable for ever.
var pinned = store.Snapshot{
	PersistenceID: "order/7-é",
	SequenceNr:    1234567,
	Timestamp:     time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC),
	State:         []byte("The state of an order.\n\x00\xff"),
}

func readPinned(t *testing.T) []byte {
	t.Helper()
	object, err := os.ReadFile(filepath.Join("testdata", "object-v1"))
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func TestFormatIsPinned(t *testing.T) {
	object := readPinned(t)
	if got := encode(pinned); !bytes.Equal(got, object) {
		t.Errorf("encode gives\n%x\nwant\n%x", got, object)
	}
	got, err := decode(object, pinned.PersistenceID, pinned.SequenceNr)
	if err != nil {
		t.Fatal(err)
	}
	if got.PersistenceID != pinned.PersistenceID || got.SequenceNr != pinned.SequenceNr || !got.Timestamp.Equal(pinned.Timestamp) || !bytes.Equal(got.State, pinned.State) {
		t.Errorf("decode gives %+v; want %+v", got, pinned)
	}
}

func TestDamageIsCorrupt(t *testing.T) {
	object := readPinned(t)
	check := func(what string, at int, damaged []byte) {
		t.Helper()
		if snap, err := decode(damaged, pinned.PersistenceID, pinned.SequenceNr); !errors.Is(err, store.ErrCorrupt) || snap.State != nil {
			t.Errorf("%s at %d: decode gives %+v, %v; want ErrCorrupt", what, at, snap, err)
		}
	}
	for at := range object {
		for bit := range 8 {
			damaged := bytes.Clone(object)
			damaged[at] ^= 1 << bit
			check("flipped", at, damaged)
		}
		check("cut", at, object[:at])
		check("lost a byte", at, append(bytes.Clone(object[:at]), object[at+1:]...))
		check("grown by a byte", at, append(append(bytes.Clone(object[:at]), object[at]^0x55), object[at:]...))
		check("zeros from here", at, append(bytes.Clone(object[:at]), make([]byte, len(object)-at)...))
	}
	check("extended", len(object), append(bytes.Clone(object), 0))
	check("twice", len(object), append(bytes.Clone(object), object...))
}

func TestLengthsFromEnvelopeAllocateNothing(t *testing.T) {
	object := readPinned(t)
	for _, offset := range []int{4, 32, 36} { // of the frame and of the state
		damaged := bytes.Clone(object)
		copy(damaged[offset:], "\xff\xff\xff\xff")
		resum(damaged)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decode(damaged, pinned.PersistenceID, pinned.SequenceNr)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("decode with a wrong length at %d: %v; want ErrCorrupt", offset, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
			t.Errorf("decode with a wrong length at %d allocates %d bytes", offset, allocated)
		}
	}
}

func TestSnapshotOfAnotherKeyIsCorrupt(t *testing.T) {
	object := readPinned(t)
	if _, err := decode(object, "order/8-é", pinned.SequenceNr); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("decode at the key of another id: %v; want ErrCorrupt", err)
	}
	if _, err := decode(object, pinned.PersistenceID, pinned.SequenceNr+1); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("decode at the key of another number: %v; want ErrCorrupt", err)
	}
}

func TestUnknownVersionIsNotCorrupt(t *testing.T) {
	for _, offset := range []int{12, 13} { // version and flags
		object := readPinned(t)
		object[offset] += 2
		resum(object)
		_, err := decode(object, pinned.PersistenceID, pinned.SequenceNr)
		if !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, store.ErrCorrupt) {
			t.Errorf("decode with a later byte %d: %v; want ErrUnsupported", offset, err)
		}
	}
}

// resum puts the checksum of pinned's envelope right.
func resum(object []byte) {
	end := idOffset + len(pinned.PersistenceID)
	binary.LittleEndian.PutUint32(object[end:], crc32.Checksum(object[:end], castagnoli))
}

func TestEnvelopeIsSkippedByZstd(t *testing.T) {
	want := strings.Repeat("an event-sourced order ", 1000)
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	object := encode(store.Snapshot{PersistenceID: "order-7", SequenceNr: 7, Timestamp: pinned.Timestamp, State: encoder.EncodeAll([]byte(want), nil)})

	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	if got, err := decoder.DecodeAll(object, nil); err != nil || string(got) != want {
		t.Errorf("the decoder gives %d bytes, %v; want %d", len(got), err, len(want))
	}

	command, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("no zstd command here")
	}
	cmd := exec.CommandContext(t.Context(), command, "-dc")
	cmd.Stdin = bytes.NewReader(object)
	if got, err := cmd.Output(); err != nil || string(got) != want {
		t.Errorf("zstd -dc gives %d bytes, %v; want %d", len(got), err, len(want))
	}
}
