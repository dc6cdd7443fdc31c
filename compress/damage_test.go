package compress_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// damaged puts stored bytes under a Store and looks at what the loads make of them.
type damaged struct {
	inner *memory.Store
	over  *compress.Store
}

func newDamaged(t testing.TB, opts compress.Options) damaged {
	inner := mustMemory(t, 0)
	d := damaged{inner: inner, over: mustNew(t, inner, opts)}
	t.Cleanup(func() { mustClose(t, d.over) })
	return d
}

// blob returns what is stored for a state.
func (d damaged) blob(t testing.TB, state []byte) []byte {
	t.Helper()
	mustSave(t, d.over, 7, state)
	return storedState(t, d.inner)
}

// wantCorrupt checks that all loads of the stored bytes are ErrCorrupt.
func (d damaged) wantCorrupt(t testing.TB, what string, stored []byte) {
	t.Helper()
	mustSave(t, d.inner, 7, stored)
	for name, load := range loads(d.over) {
		err := load(t.Context())
		var named *store.Error
		if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.SequenceNr != 7 {
			t.Fatalf("%s: %s: %v; want ErrCorrupt at 7", what, name, err)
		}
	}
}

// smallStates are states whose blobs are small enough to damage every byte.
func smallStates() map[string][]byte {
	return map[string][]byte{
		"empty":          {},
		"one byte":       {'x'},
		"raw":            []byte(`{"id":"order-1","status":"open"}`),
		"compressed":     jsonState(700),
		"one run":        bytes.Repeat([]byte{0}, 1000),
		"incompressible": randomState(400),
		"like a blob":    []byte("\x5a\x2a\x4d\x18\x08\x00\x00\x00\x53\xc5\x5a\xa7"),
	}
}

func largeStates() map[string][]byte {
	return map[string][]byte{
		"JSON":           jsonState(2<<20 + 5),
		"incompressible": randomState(1<<20 + 5),
		"mixed":          append(randomState(1<<19), jsonState(1<<20)...),
	}
}

func TestEveryFlippedBitIsCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	for name, state := range smallStates() {
		blob := d.blob(t, state)
		for at := range blob {
			for bit := range 8 {
				blob[at] ^= 1 << bit
				d.wantCorrupt(t, fmt.Sprintf("%s, bit %d of byte %d flipped", name, bit, at), blob)
				blob[at] ^= 1 << bit
			}
		}
	}
}

func TestEveryOtherByteIsCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	for name, state := range smallStates() {
		blob := d.blob(t, state)
		for at := range blob {
			was := blob[at]
			for _, other := range []byte{0, 0xff, ' ', was + 1, was - 1, ^was} {
				if other == was {
					continue
				}
				blob[at] = other
				d.wantCorrupt(t, fmt.Sprintf("%s, byte %d is %#x", name, at, other), blob)
			}
			blob[at] = was
		}
	}
}

func TestEveryMissingOrAddedByteIsCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	for name, state := range smallStates() {
		blob := d.blob(t, state)
		for at := range blob {
			d.wantCorrupt(t, fmt.Sprintf("%s, byte %d missing", name, at), slices.Delete(bytes.Clone(blob), at, at+1))
		}
		for at := range len(blob) + 1 {
			for _, added := range []byte{0, 0xff, 0x5a, blob[min(at, len(blob)-1)]} {
				d.wantCorrupt(t, fmt.Sprintf("%s, %#x added before byte %d", name, added, at), slices.Insert(bytes.Clone(blob), at, added))
			}
		}
	}
}

func TestEveryTwoSwappedBytesAreCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	for name, state := range smallStates() {
		blob := d.blob(t, state)
		if len(blob) > 120 {
			continue // the others show it, and are quick
		}
		for i := range blob {
			for j := range i {
				if blob[i] == blob[j] {
					continue
				}
				blob[i], blob[j] = blob[j], blob[i]
				d.wantCorrupt(t, fmt.Sprintf("%s, bytes %d and %d swapped", name, i, j), blob)
				blob[i], blob[j] = blob[j], blob[i]
			}
		}
	}
}

func TestEveryTwoFlippedBytesAreCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	blob := d.blob(t, []byte{})
	for i := range blob {
		for j := range i {
			blob[i] ^= 0xff
			blob[j] ^= 0xff
			d.wantCorrupt(t, fmt.Sprintf("bytes %d and %d flipped", i, j), blob)
			blob[i] ^= 0xff
			blob[j] ^= 0xff
		}
	}
}

// One end is enough to tell a blob, with two of the bytes damaged by which it is
// told, whatever became of the other.
func TestDamageOfBothEndsIsCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	blob := d.blob(t, []byte("a state"))
	trailer := len(blob) - 16
	start := []int{0, 1, 2, 3, 8, 9, 10, 11}
	var end []int
	for at := trailer; at < len(blob)-4; at++ {
		end = append(end, at)
	}
	for _, test := range []struct {
		lost [2]int
		keep []int
	}{{[2]int{trailer, len(blob)}, start}, {[2]int{0, 12}, end}} {
		for i, a := range test.keep {
			for _, b := range test.keep[:i] {
				both := bytes.Clone(blob)
				clear(both[test.lost[0]:test.lost[1]])
				both[a] ^= 0xff
				both[b] ^= 0xff
				d.wantCorrupt(t, fmt.Sprintf("bytes %v lost, %d and %d flipped", test.lost, a, b), both)
			}
		}
	}
}

// Below 5 bytes at the start and 8 at the end nothing tells what is left from a
// state of an application.
func TestEveryTruncationIsCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	for name, state := range smallStates() {
		blob := d.blob(t, state)
		for n := 5; n < len(blob); n++ {
			d.wantCorrupt(t, fmt.Sprintf("%s, first %d bytes", name, n), blob[:n])
		}
		for n := 8; n < len(blob); n++ {
			d.wantCorrupt(t, fmt.Sprintf("%s, last %d bytes", name, n), blob[len(blob)-n:])
		}
	}
}

func TestDamagedLargeBlobsAreCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	r := rand.New(rand.NewPCG(3, 4))
	for name, state := range largeStates() {
		blob := d.blob(t, state)
		for range 30 {
			at, other := r.IntN(len(blob)), r.IntN(len(blob))
			flipped := bytes.Clone(blob)
			flipped[at] ^= 1 << r.IntN(8)
			d.wantCorrupt(t, fmt.Sprintf("%s, byte %d flipped", name, at), flipped)
			swapped := bytes.Clone(blob)
			swapped[at], swapped[other] = swapped[other], swapped[at]
			if swapped[at] != swapped[other] {
				d.wantCorrupt(t, fmt.Sprintf("%s, bytes %d and %d swapped", name, at, other), swapped)
			}
			d.wantCorrupt(t, fmt.Sprintf("%s, byte %d missing", name, at), slices.Delete(bytes.Clone(blob), at, at+1))
			d.wantCorrupt(t, fmt.Sprintf("%s, byte added before %d", name, at), slices.Insert(bytes.Clone(blob), at, byte(r.Uint32())))
			d.wantCorrupt(t, fmt.Sprintf("%s, first %d bytes", name, at), blob[:max(at, 5)])
			d.wantCorrupt(t, fmt.Sprintf("%s, without the first %d bytes", name, at), blob[min(at+1, len(blob)-8):])
		}
		for _, sector := range []int{512, 4096} { // what a disk loses
			for _, at := range []int{0, sector, (len(blob) - 1) / sector * sector} {
				zeroed := bytes.Clone(blob)
				clear(zeroed[at:min(at+sector, len(blob))])
				d.wantCorrupt(t, fmt.Sprintf("%s, %d bytes from %d zeroed", name, sector, at), zeroed)
			}
		}
	}
}

func TestMissingAddedAndSwappedFramesAreCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	for name, state := range largeStates() {
		pieces := piecesOf(d.blob(t, state)) // header, frames, trailer
		if len(pieces) < 4 {
			t.Fatalf("%s: %d pieces; want several frames", name, len(pieces))
		}
		for i := range pieces {
			without := slices.Delete(slices.Clone(pieces), i, i+1)
			d.wantCorrupt(t, fmt.Sprintf("%s, piece %d missing", name, i), bytes.Join(without, nil))
			twice := slices.Insert(slices.Clone(pieces), i, pieces[i])
			d.wantCorrupt(t, fmt.Sprintf("%s, piece %d twice", name, i), bytes.Join(twice, nil))
			for j := range i {
				swapped := slices.Clone(pieces)
				swapped[i], swapped[j] = swapped[j], swapped[i]
				d.wantCorrupt(t, fmt.Sprintf("%s, pieces %d and %d swapped", name, i, j), bytes.Join(swapped, nil))
			}
		}
	}
}

// Pieces of other blobs of the same size, each intact in itself.
func TestMixedBlobsAreCorrupt(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	one, other := randomState(300), randomState(600)[300:]
	a, b := piecesOf(d.blob(t, one)), piecesOf(d.blob(t, other))
	for i := range a {
		mixed := slices.Clone(a)
		mixed[i] = b[i]
		if !bytes.Equal(mixed[i], a[i]) {
			d.wantCorrupt(t, fmt.Sprintf("piece %d of another blob", i), bytes.Join(mixed, nil))
		}
	}
	d.wantCorrupt(t, "two blobs", slices.Concat(bytes.Join(a, nil), bytes.Join(b, nil)))
}

// A blob whose checksum is right, but which lies, was made to do so: nothing of it
// may be believed.
func TestLyingBlobs(t *testing.T) {
	d := newDamaged(t, compress.Options{MaxDecodedBytes: 4 << 20})
	pieces := piecesOf(d.blob(t, jsonState(3<<20)))
	header, frames := pieces[0], pieces[1:len(pieces)-1]
	all := bytes.Join(frames, nil)
	var lengths []uint64
	for _, f := range frames {
		lengths = append(lengths, uint64(len(f)))
	}
	if !bytes.Equal(newHeader(1, 0, 3<<20, lengths...), header) {
		t.Fatalf("header %x is not as the format says", header)
	}
	d.wantState(t, "sealed again", seal(header, all), jsonState(3<<20))

	swapped := func(i int, lie uint64) []uint64 {
		l := slices.Clone(lengths)
		l[i] = lie
		return l
	}
	content := frameOf(t, jsonState(1000))
	for name, blob := range map[string][]byte{
		"size one less":                            seal(newHeader(1, 0, 3<<20-1, lengths...), all),
		"size one more":                            seal(newHeader(1, 0, 3<<20+1, lengths...), all),
		"size 0":                                   seal(newHeader(1, 0, 0, lengths...), all),
		"a frame less":                             seal(newHeader(1, 0, 3<<20, lengths[:2]...), all),
		"a frame more":                             seal(newHeader(1, 0, 3<<20, append(slices.Clone(lengths), 5)...), all),
		"an empty frame more":                      seal(newHeader(1, 0, 3<<20, append(slices.Clone(lengths), 0)...), all),
		"no frame":                                 seal(newHeader(1, 0, 3<<20), nil),
		"no frame listed":                          seal(newHeader(1, 0, 3<<20), all),
		"frame length one less":                    seal(newHeader(1, 0, 3<<20, swapped(0, lengths[0]-1)...), all),
		"frame length one more":                    seal(newHeader(1, 0, 3<<20, swapped(0, lengths[0]+1)...), all),
		"frame length enormous":                    seal(newHeader(1, 0, 3<<20, swapped(0, 1<<63)...), all),
		"last frame length wrong":                  seal(newHeader(1, 0, 3<<20, swapped(2, lengths[2]-1)...), all),
		"two frames as one":                        seal(newHeader(1, 0, 3<<20, lengths[0]+lengths[1], lengths[2]), all),
		"bytes after the frames":                   seal(header, append(bytes.Clone(all), 0)),
		"header without a size":                    seal(newHeader(1, 0, 0)[:14], nil),
		"size cut short":                           seal(append(newHeader(1, 0, 0)[:14], 0x80), nil),
		"size over 64 bits":                        seal(append(newHeader(1, 0, 0)[:14], bytes.Repeat([]byte{0xff}, 11)...), nil),
		"sizes that wrap around":                   seal(newHeader(1, 0, 50_000, 12, 16), []byte("\x28\xb5\x2f\xfd\xa0\xa0\x86\x01\x00\x01\x00\x00\x28\xb5\x2f\xfd\xe0\xb0\x3c\xff\xff\xff\xff\xff\xff\x01\x00\x00")),
		"no zstd frame":                            seal(newHeader(1, 0, 5, 5), []byte("hello")),
		"skippable frame":                          seal(newHeader(1, 0, 4, 12), []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd")),
		"frame without a size":                     seal(newHeader(1, 0, 1, 10), []byte("\x28\xb5\x2f\xfd\x00\x58\x09\x00\x00x")),
		"frame with a dictionary":                  seal(newHeader(1, 0, 1, 11), []byte("\x28\xb5\x2f\xfd\x21\x07\x01\x09\x00\x00x")),
		"frame with a window":                      seal(newHeader(1, 0, 300, 311), append([]byte("\x28\xb5\x2f\xfd\x40\x58\x2c\x00\x61\x09\x00"), make([]byte, 300)...)),
		"flag of a dictionary that no frame needs": seal(newHeader(1, 1, 3, 12), []byte("\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00abc")),
		"frame of nothing":                         seal(newHeader(1, 0, 0, 9), []byte("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00")),
		"frame larger than said":                   seal(newHeader(1, 0, 2, 12), []byte("\x28\xb5\x2f\xfd\x20\x02\x19\x00\x00abc")),
		"frame smaller than said":                  seal(newHeader(1, 0, 4, 12), []byte("\x28\xb5\x2f\xfd\x20\x04\x19\x00\x00abc")),
		"bytes after a raw block":                  seal(newHeader(1, 0, 3, 13), []byte("\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00abc!")),
		"many small frames":                        seal(newHeader(1, 0, 3, 10, 10, 10), bytes.Repeat([]byte("\x28\xb5\x2f\xfd\x20\x01\x09\x00\x00x"), 3)),
		"state under a wrong sum":                  seal(newHeader(1, 0, 1000, uint64(len(content))), append(content[:len(content)-1:len(content)-1], content[len(content)-1]^1)),
	} {
		d.wantCorrupt(t, name, blob)
	}
	d.wantState(t, "raw block", seal(newHeader(1, 0, 3, 12), []byte("\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00abc")), []byte("abc"))

	// A header that reaches past the end, or ends before it began.
	for _, length := range []uint32{0, 3, 5, uint32(len(header)) - 8 + uint32(len(all)) + 1, 1<<32 - 1} {
		lying := bytes.Clone(header)
		binary.LittleEndian.PutUint32(lying[4:], length)
		d.wantCorrupt(t, fmt.Sprintf("header length %d", length), seal(lying, all))
	}
}

func TestNoMemoryIsTakenForALie(t *testing.T) {
	const limit = 64 << 20
	d := newDamaged(t, compress.Options{MaxDecodedBytes: limit})
	// Each says that it holds what the state holds, in 4 bytes of content size.
	bomb := func(size uint32) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte("\x28\xb5\x2f\xfd\xa0"), size), 1, 0, 0)
	}
	for name, test := range map[string]struct {
		blob []byte
		want error
	}{
		"over the limit":            {seal(newHeader(1, 0, limit+1, 12), bomb(limit+1)), store.ErrTooLarge},
		"far over the limit":        {seal(newHeader(1, 0, 1<<63+5, 12), bomb(1<<32-1)), store.ErrTooLarge},
		"over it in several frames": {seal(newHeader(1, 0, limit+2, 12, 12), append(bomb(limit/2+1), bomb(limit/2+1)...)), store.ErrTooLarge},
		"frames over the state":     {seal(newHeader(1, 0, limit, 12, 12), append(bomb(limit-5), bomb(limit-5)...)), store.ErrCorrupt},
		"frames far over the state": {seal(newHeader(1, 0, 100, 12), bomb(1<<32-1)), store.ErrCorrupt},
		"frames below the state":    {seal(newHeader(1, 0, limit, 12), bomb(limit-1)), store.ErrCorrupt},
		"a million frames":          {seal(newHeader(1, 0, limit, slices.Repeat([]uint64{10}, 1<<20)...), bytes.Repeat([]byte("\x28\xb5\x2f\xfd\x20\x01\x09\x00\x00x"), 1<<20)), store.ErrCorrupt},
	} {
		mustSave(t, d.inner, 7, test.blob)
		got := allocated(1, func() {
			err := d.over.ViewLatest(t.Context(), id, func(store.Snapshot) error { return nil })
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v; want %v", name, err, test.want)
			}
		})
		if got > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
		wantLoadError(t, d.over, 7, test.want)
	}
}

// A newer format is no damage, and must not send anybody to an older snapshot.
func TestNewerFormatsAreUnsupported(t *testing.T) {
	d := newDamaged(t, compress.Options{})
	pieces := piecesOf(d.blob(t, []byte("a state")))
	for name, change := range map[string]struct {
		at int
		to byte
	}{
		"version 0": {12, 0}, "version 2": {12, 2}, "version 255": {12, 255},
		"flag 2": {13, 2}, "flags 1 and 2": {13, 3}, "flag 128": {13, 128},
	} {
		header := bytes.Clone(pieces[0])
		header[change.at] = change.to
		mustSave(t, d.inner, 7, seal(header, pieces[1]))
		wantLoadError(t, d.over, 7, errors.ErrUnsupported)
		for load, f := range loads(d.over) {
			for _, not := range []error{store.ErrCorrupt, store.ErrNotFound, store.ErrInvalid} {
				if err := f(t.Context()); errors.Is(err, not) {
					t.Errorf("%s: %s: %v matches %v", name, load, err, not)
				}
			}
		}
	}
}

func (d damaged) wantState(t testing.TB, what string, blob, state []byte) {
	t.Helper()
	mustSave(t, d.inner, 7, blob)
	got, err := d.over.LoadLatest(t.Context(), id)
	if err != nil || !bytes.Equal(got.State, state) {
		t.Fatalf("%s: state of %d bytes, %v; want %d bytes", what, len(got.State), err, len(state))
	}
}

// piecesOf cuts a blob into header, frames and trailer, by what the package doc
// says and nothing else.
func piecesOf(blob []byte) [][]byte {
	end := 8 + int(binary.LittleEndian.Uint32(blob[4:]))
	pieces := [][]byte{blob[:end]}
	lengths := blob[14:end]
	_, n := binary.Uvarint(lengths)
	for lengths = lengths[n:]; len(lengths) > 0; lengths = lengths[n:] {
		var length uint64
		length, n = binary.Uvarint(lengths)
		pieces = append(pieces, blob[end:end+int(length)])
		end += int(length)
	}
	return append(pieces, blob[end:])
}

// newHeader returns a header that says what it is told to.
func newHeader(version, flags byte, size uint64, lengths ...uint64) []byte {
	header := []byte("\x5a\x2a\x4d\x18\x00\x00\x00\x00\x53\xc5\x5a\xa7")
	header = append(header, version, flags)
	header = binary.AppendUvarint(header, size)
	for _, length := range lengths {
		header = binary.AppendUvarint(header, length)
	}
	binary.LittleEndian.PutUint32(header[4:], uint32(len(header)-8))
	return header
}

// seal returns the blob of a header and frames, with the right checksum.
func seal(header, frames []byte) []byte {
	blob := slices.Concat(header, frames, []byte("\x5a\x2a\x4d\x18\x08\x00\x00\x00\x53\xc5\x5a\xa7"))
	return binary.LittleEndian.AppendUint32(blob, crc32.Checksum(blob, crc32.MakeTable(crc32.Castagnoli)))
}

// frameOf returns the frame of a small state.
func frameOf(t testing.TB, state []byte) []byte {
	t.Helper()
	return piecesOf(newDamaged(t, compress.Options{}).blob(t, state))[1]
}
