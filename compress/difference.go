package compress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// A difference says how a state comes from a base. It is kept in two parts, which
// compress better apart: the literals, which are the bytes of the state that are not
// found in the base, and the steps that put it together. A step is three numbers:
//
//	uvarint  how many literals come next
//	uvarint  how many bytes of the base follow them
//	varint   where in the base those begin, relative to where those of the step before
//	         ended plus the literals; 0 where bytes were replaced by as many
//
// The last step may copy nothing. Finding one is the rolling block match of rsync
// (Tridgell 1999), with both sides at hand, so that a match grows in both directions
// as far as it goes and need not be a whole number of blocks.
type difference struct {
	steps, literals []byte
}

// blockSize is the size in bytes of the blocks of a base that are found again wherever
// they come to stand. What is shorter between two changes is not found, unless it stands
// where it stood.
const blockSize = 32

// A blockIndex finds the blocks of a base by the hash of their content. It takes up to
// a third of the size of the base.
type blockIndex struct {
	base []byte

	// table has the number of a block, from 1 on, below eight more bits of its hash.
	// Where several have the same place the last one counts, and what is found is
	// compared.
	table []uint32
	shift int // of a hash, for its place

	// filter has a bit for the hash of every block, and is eight times as large as the
	// blocks are many: most bytes that begin no block are told so here, in the
	// processor's caches, and not by the table.
	filter []uint64
}

func newBlockIndex(base []byte) *blockIndex {
	blocks := min(len(base)/blockSize, maxBlocks)
	size := bits.Len(uint(blocks))
	x := &blockIndex{base: base, table: make([]uint32, 1<<size), shift: 32 - size, filter: make([]uint64, 1+1<<size/8)}
	i := 0
	for ; i+4 <= blocks; i += 4 {
		// Four at a time: each byte of a hash waits for the one before it.
		b := base[i*blockSize : (i+4)*blockSize]
		var h0, h1, h2, h3 uint32
		for j := range blockSize {
			h0 = rolled(h0, b[j])
			h1 = rolled(h1, b[j+blockSize])
			h2 = rolled(h2, b[j+2*blockSize])
			h3 = rolled(h3, b[j+3*blockSize])
		}
		x.add(i, h0)
		x.add(i+1, h1)
		x.add(i+2, h2)
		x.add(i+3, h3)
	}
	for ; i < blocks; i++ {
		x.add(i, blockHash(base[i*blockSize:]))
	}
	return x
}

// add adds the block of that number, from 0 on, and hash.
func (x *blockIndex) add(i int, h uint32) {
	x.table[h>>x.shift] = h*tagMixer&^maxBlocks | uint32(i+1)
	word, bit := x.filtered(h)
	x.filter[word] |= bit
}

const (
	maxBlocks = 1<<24 - 1  // of which a table can have the numbers: 512 MiB
	tagMixer  = 2654435761 // odd, and 2^32 over the golden ratio: all bits come to the upper ones
)

// filtered returns the place of a hash in the filter.
func (x *blockIndex) filtered(h uint32) (word uint32, bit uint64) {
	return h >> x.shift >> 3, 1 << (h >> 8 & 63)
}

// find returns where in the base the block stands that b begins with, whose hash is h,
// or -1.
func (x *blockIndex) find(b []byte, h uint32) int {
	if word, bit := x.filtered(h); x.filter[word]&bit == 0 {
		return -1
	}
	entry := x.table[h>>x.shift]
	if entry == 0 || (entry^h*tagMixer)&^maxBlocks != 0 {
		return -1
	}
	at := int(entry&maxBlocks-1) * blockSize
	if !bytes.Equal(x.base[at:at+blockSize], b[:blockSize]) {
		return -1
	}
	return at
}

// gear are random numbers, one for each byte.
var gear = func() (table [256]uint32) {
	random := rand.NewPCG(1, 2) // any will do: hashes are not kept
	for i := range table {
		table[i] = uint32(random.Uint64())
	}
	return table
}()

// blockHash returns the hash of the block that b begins with. A byte is shifted out of
// it by the thirty-second after it, so that rolled goes on from one place to the next
// (the gear hash of Xia et al., FastCDC, 2016). It is good in its upper bits, which all
// bytes have met.
func blockHash(b []byte) uint32 {
	var h uint32
	for _, c := range b[:blockSize] {
		h = rolled(h, c)
	}
	return h
}

// rolled returns the hash of the block a byte further on, which ends with c.
func rolled(h uint32, c byte) uint32 { return h<<1 + gear[c] }

// A stretch is a part of a state: literals, and bytes of the base that follow them.
type stretch struct {
	literals []byte // of the state
	from, to int    // in the base
}

// differ returns the difference of state from the base of x. It is false, soon, where
// that would take more than most bytes. Large states are looked at in parallel.
func (x *blockIndex) differ(state []byte, most int) (difference, bool) {
	if !x.promising(state, most) {
		return difference{}, false
	}
	pieces := make([][]stretch, max(1, len(state)/pieceSize))
	var taken atomic.Int64 // by the pieces that are done, at least
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range pieces {
		look := func() error {
			if taken.Load() <= int64(most) {
				start, end := part(len(state), i, len(pieces)), part(len(state), i+1, len(pieces))
				var takes int
				pieces[i], takes = x.stretches(state, start, end, most)
				taken.Add(int64(takes))
			}
			return nil
		}
		if len(pieces) == 1 {
			_ = look() // never fails
			break
		}
		group.Go(look)
	}
	_ = group.Wait() // none fails
	if taken.Load() > int64(most) {
		return difference{}, false
	}
	var d difference
	next := 0 // where in the base the next byte of state stands if nothing moved
	var open stretch
	for i, piece := range pieces {
		for j, s := range piece {
			if i > 0 && j == 0 && len(s.literals) == 0 && s.from == open.to {
				open.to = s.to // goes on where the piece before ended
				continue
			}
			if i > 0 || j > 0 {
				next = d.step(open, next)
			}
			open = s
		}
		if len(d.steps)+len(d.literals) > most {
			return difference{}, false
		}
	}
	if len(state) > 0 {
		d.step(open, next)
	}
	return d, len(d.steps)+len(d.literals) <= most
}

// pieceSize is the least that is looked at by itself.
const pieceSize = 256 << 10

// stretches returns the stretches of a piece of state, and how many bytes they take at
// least. Where those are more than most the piece was not looked at to its end.
func (x *blockIndex) stretches(state []byte, start, end, most int) (found []stretch, takes int) {
	const minStep = 3
	takes = -minStep // the first may go on where the piece before ended
	next := start
	state = state[:end]
	for start < end && takes <= most {
		at, from, to := x.match(state, start, next, most)
		for at > start && from > 0 && to > from && state[at-1] == x.base[from-1] {
			at, from = at-1, from-1
		}
		found = append(found, stretch{state[start:at], from, to})
		takes += at - start + minStep
		start = at + to - from
		next = to
	}
	return found, takes
}

// match returns the first position in state, from start on, at which bytes stand that
// are found in the base, and which those are: preferably those that stand there if
// nothing moved, the one at start being at next in the base; otherwise wherever a whole
// block is found. Where nothing is found the position is the end of state, or one more
// than most bytes away.
func (x *blockIndex) match(state []byte, start, next, most int) (at, from, to int) {
	base := x.base
	offset := next - start
	var h uint32
	if len(state)-start >= blockSize {
		h = blockHash(state[start:])
	}
	for at = start; len(state)-at >= blockSize; at++ {
		found := -1
		if q := at + offset; q+blockSize <= len(base) && binary.LittleEndian.Uint64(state[at:]) == binary.LittleEndian.Uint64(base[q:]) &&
			bytes.Equal(state[at:at+blockSize], base[q:q+blockSize]) {
			found = q
		} else {
			found = x.find(state[at:], h)
		}
		if found >= 0 {
			return at, found, found + blockSize + commonPrefix(state[at+blockSize:], base[found+blockSize:])
		}
		if at-start > most {
			return at, 0, 0
		}
		if at+blockSize < len(state) {
			h = rolled(h, state[at+blockSize])
		}
	}
	// The end of state, which may well be what it was.
	for ; at < len(state); at++ {
		if q := at + offset; q < len(base) && bytes.HasPrefix(base[q:], state[at:]) {
			return at, q, q + len(state) - at
		}
	}
	return at, next, next // nothing, right behind what came before
}

// promising looks at a little of state and says whether a difference of most bytes is
// to be hoped for. Where nothing is left of the base, finding that out byte by byte
// would take as long as compressing the state.
func (x *blockIndex) promising(state []byte, most int) bool {
	const places = 64
	const window = 4 * blockSize // a place in the middle of what did not change has a block of the base in it
	if len(state) < places*2*window {
		return true
	}
	found := 0
	for i := range places {
		at := part(len(state)-window-blockSize, i, places-1)
		h := blockHash(state[at:])
		for end := at + window; at < end; at++ {
			if x.find(state[at:], h) >= 0 {
				found++
				break
			}
			h = rolled(h, state[at+blockSize])
		}
	}
	// The places stand for the whole, up to chance: half as many as are needed will do.
	return found*len(state)*2 >= places*(len(state)-most)
}

// step appends a stretch, and returns where it ends in the base. Next is where the one
// before ended.
func (d *difference) step(s stretch, next int) int {
	d.literals = append(d.literals, s.literals...)
	d.steps = binary.AppendUvarint(d.steps, uint64(len(s.literals)))
	d.steps = binary.AppendUvarint(d.steps, uint64(s.to-s.from))
	if s.to == s.from {
		d.steps = binary.AppendVarint(d.steps, 0)
		return next
	}
	d.steps = binary.AppendVarint(d.steps, int64(s.from-(next+len(s.literals))))
	return s.to
}

var errSteps = errors.New("steps do not lead from the base to the state")

// apply writes to dst, which is as long as it, the state that the difference makes of
// base.
func (d difference) apply(dst, base []byte) error {
	steps, literals := d.steps, d.literals
	at, next := 0, 0
	for len(steps) > 0 {
		literal, n := binary.Uvarint(steps)
		if n <= 0 {
			return errSteps
		}
		copied, m := binary.Uvarint(steps[n:])
		if m <= 0 {
			return errSteps
		}
		moved, k := binary.Varint(steps[n+m:])
		if k <= 0 {
			return errSteps
		}
		steps = steps[n+m+k:]
		if literal > uint64(len(literals)) || literal > uint64(len(dst)-at) {
			return errSteps
		}
		at += copy(dst[at:], literals[:literal])
		literals = literals[literal:]
		// What is left is within memory, so that sums don't overflow.
		farthest := int64(len(base)) + int64(len(dst))
		if copied > uint64(len(dst)-at) || moved > farthest || moved < -farthest {
			return errSteps
		}
		from := int64(next) + int64(literal) + moved
		if copied > 0 && (from < 0 || from > int64(len(base)) || copied > uint64(int64(len(base))-from)) {
			return errSteps
		}
		if copied == 0 && literal == 0 {
			return errSteps // or steps would go on for ever without getting anywhere
		}
		if copied > 0 {
			at += copy(dst[at:], base[from:from+int64(copied)])
			next = int(from + int64(copied))
		}
	}
	if at != len(dst) || len(literals) > 0 {
		return errSteps
	}
	return nil
}

// commonPrefix returns how many bytes a and b have in common at their beginning.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i := 0
	const stride = 1 << 10 // the fastest way to compare
	for n-i >= stride && bytes.Equal(a[i:i+stride], b[i:i+stride]) {
		i += stride
	}
	for ; n-i >= 8; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
