package compress_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store"
)

// FuzzDecode loads any bytes. Those with the right checksum are what gets far.
func FuzzDecode(f *testing.F) {
	const limit = 256 << 10
	d := newDamaged(f, compress.Options{MaxDecodedBytes: limit, Dictionaries: [][]byte{goldenDictionary(f)}})
	for _, golden := range goldens {
		blob, err := os.ReadFile(filepath.Join("testdata", "golden", golden.name+".zst"))
		if err != nil {
			f.Fatal(err)
		}
		if len(blob) < 2000 {
			pieces := piecesOf(blob)
			f.Add(pieces[0], bytes.Join(pieces[1:len(pieces)-1], nil), true)
			f.Add(pieces[0], bytes.Join(pieces[1:], nil), false)
		}
	}
	f.Add(newHeader(1, 0, 1<<40, 9), []byte("\x28\xb5\x2f\xfd\x20\x01\x09\x00\x00x"), true)
	f.Add([]byte("an older state"), []byte{}, false)
	f.Fuzz(func(t *testing.T, header, frames []byte, sealed bool) {
		stored := slices.Concat(header, frames)
		if sealed {
			stored = seal(header, frames)
		}
		mustSave(t, d.inner, 7, stored)
		var snap store.Snapshot
		var err error
		took := allocated(1, func() { snap, err = d.over.LoadLatest(t.Context(), id) })
		switch {
		case err == nil:
			if len(snap.State) > limit && !bytes.Equal(snap.State, stored) {
				t.Errorf("a state of %d bytes; allowed are %d", len(snap.State), limit)
			}
			wantState(t, d.over, snap.State)
		case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrTooLarge), errors.Is(err, errors.ErrUnsupported):
		default:
			t.Errorf("LoadLatest: %v", err)
		}
		// What the decoder takes for its tables, and once only for its buffers, is
		// below a megabyte.
		if took > uint64(limit+len(stored))+1<<20 {
			t.Errorf("a load of %d stored bytes took %d", len(stored), took)
		}
	})
}

// FuzzRoundTrip saves any state, with a dictionary and without, and flips a bit of
// what was stored.
func FuzzRoundTrip(f *testing.F) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderDicts(goldenDictionary(f)))
	if err != nil {
		f.Fatal(err)
	}
	defer decoder.Close()
	plain := newDamaged(f, compress.Options{})
	with := newDamaged(f, compress.Options{Dictionaries: [][]byte{goldenDictionary(f)}, MinBytes: -1})
	for _, state := range smallStates() {
		f.Add(state, uint16(1), uint(0), byte(0))
	}
	f.Add(jsonState(1000), uint16(3000), uint(77), byte(7))
	f.Fuzz(func(t *testing.T, state []byte, times uint16, at uint, bit byte) {
		if len(state) > 0 {
			state = bytes.Repeat(state, min(int(times)+1, 1+3<<20/len(state)))
		}
		for _, d := range []damaged{plain, with} {
			blob := d.blob(t, state)
			wantState(t, d.over, state)
			if decoded, err := decoder.DecodeAll(blob, nil); err != nil || !bytes.Equal(decoded, state) {
				t.Fatalf("as zstd the blob is %d bytes, %v; want %d", len(decoded), err, len(state))
			}
			blob[at%uint(len(blob))] ^= 1 << (bit % 8)
			d.wantCorrupt(t, "a bit flipped", blob)
		}
	})
}
