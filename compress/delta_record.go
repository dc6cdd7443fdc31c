package compress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/snapstack/snapstack/store"
)

// The parts of a record of a Delta that are the same in each; see Delta.
const (
	recordMagic   = "\x89dLt\r\n\x1a\xe7"
	recordEnd     = "\xe7end\x0a\x00\xd1\x89"
	recordVersion = 1

	recordHead    = len(recordMagic) + 2 // up to the size of the state
	recordTrailer = 4 + len(recordEnd)

	// maxRecordHead is the most that stands before the content of a whole record.
	maxRecordHead = recordHead + binary.MaxVarintLen64
)

// Kinds of records.
const (
	recordWhole      = 1 // of a snapshot, with all of its state
	recordDifference = 2 // of a snapshot, with its difference from a base
	recordBase       = 3 // of a base
)

// A record is one of the inner store taken apart.
type record struct {
	kind int
	size int // of the state

	content []byte // of a whole one and of a base

	// Of a difference.
	base baseName
	sum  uint64 // of the state: XXH64
	diff difference
}

// A baseName says which base a difference is from.
type baseName struct {
	writer string
	number uint64
	sum    uint64 // of its content: XXH64
}

// isRecord says whether stored is a record, though perhaps a damaged one, and not a
// state from before the wrapper. One whose beginning or end is mostly right is one.
func isRecord(stored []byte) bool {
	n := len(stored)
	if n >= len(recordMagic) && matches(stored[:len(recordMagic)], recordMagic) >= 6 {
		return true
	}
	if n >= len(recordEnd) && matches(stored[n-len(recordEnd):], recordEnd) >= 6 {
		return true
	}
	return n >= 4 && n < len(recordMagic) && string(stored) == recordMagic[:n] // cut short in its magic
}

// parseRecord takes a record apart, whose parts stand in stored. It takes no memory to
// speak of. A state over maxSize is ErrTooLarge.
func parseRecord(stored []byte, maxSize int64) (record, error) {
	end := len(stored) - recordTrailer
	if end < recordHead || string(stored[:len(recordMagic)]) != recordMagic || string(stored[end+4:]) != recordEnd {
		return record{}, corrupt("record damaged or cut short")
	}
	// Before anything else is believed: a flipped bit in the version must not look
	// like a newer one.
	if copySummed(nil, stored[:end]) != binary.LittleEndian.Uint32(stored[end:]) {
		return record{}, corrupt("checksum of the record does not match")
	}
	if v := stored[len(recordMagic)]; v != recordVersion {
		return record{}, fmt.Errorf("compress: stored in version %d of the format of Delta, and only version %d is known here: %w", v, recordVersion, errors.ErrUnsupported)
	}
	r := record{kind: int(stored[len(recordMagic)+1])}
	rest := fields{stored[recordHead:end], true}
	size := rest.uvarint()
	if rest.ok && size > uint64(maxSize) {
		return record{}, fmt.Errorf("compress: %w: the state has %d bytes; allowed by MaxStateBytes are %d", store.ErrTooLarge, size, maxSize)
	}
	r.size = int(size)
	switch r.kind {
	case recordWhole, recordBase:
		if !rest.ok || uint64(len(rest.b)) != size {
			return record{}, corrupt("record of another size than it says")
		}
		r.content = rest.b
	case recordDifference:
		r.base.writer = string(rest.bytes(rest.uvarint()))
		r.base.number = rest.uint64()
		r.base.sum = rest.uint64()
		r.sum = rest.uint64()
		r.diff.steps = rest.bytes(rest.uvarint())
		r.diff.literals = rest.b
		if !rest.ok || !isWriter(r.base.writer) {
			return record{}, corrupt("difference cut short")
		}
	default:
		return record{}, corrupt("record of the unknown kind %d", r.kind)
	}
	return r, nil
}

// state writes the state of a difference to dst, which is as long, and checks it.
func (r record) state(dst, base []byte) error {
	if err := r.diff.apply(dst, base); err != nil {
		return corrupt("difference: %v", err)
	}
	if xxhash.Sum64(dst) != r.sum {
		return corrupt("difference: it gives another state than was saved")
	}
	return nil
}

// appendWhole appends a record of that kind with all of a state.
func appendWhole(dst []byte, kind byte, state []byte) []byte {
	start := len(dst)
	dst = append(dst, recordMagic...)
	dst = append(dst, recordVersion, kind)
	dst = binary.AppendUvarint(dst, uint64(len(state)))
	sum := checksum(dst[start:])
	place := len(dst)
	dst = slices.Grow(dst, len(state)+recordTrailer)[:place+len(state)]
	sum = joinChecksums(sum, copySummed(dst[place:], state), len(state))
	return append(binary.LittleEndian.AppendUint32(dst, sum), recordEnd...)
}

// appendDifference appends the record of a state of that size and sum.
func appendDifference(dst []byte, size int, sum uint64, base baseName, d difference) []byte {
	start := len(dst)
	dst = append(dst, recordMagic...)
	dst = append(dst, recordVersion, recordDifference)
	dst = binary.AppendUvarint(dst, uint64(size))
	dst = binary.AppendUvarint(dst, uint64(len(base.writer)))
	dst = append(dst, base.writer...)
	dst = binary.LittleEndian.AppendUint64(dst, base.number)
	dst = binary.LittleEndian.AppendUint64(dst, base.sum)
	dst = binary.LittleEndian.AppendUint64(dst, sum)
	dst = binary.AppendUvarint(dst, uint64(len(d.steps)))
	dst = append(dst, d.steps...)
	dst = append(dst, d.literals...)
	return append(binary.LittleEndian.AppendUint32(dst, checksum(dst[start:])), recordEnd...)
}

// fields reads one field after another; ok is false once one was cut short.
type fields struct {
	b  []byte
	ok bool
}

func (f *fields) uvarint() uint64 {
	x, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.ok = false
		return 0
	}
	f.b = f.b[n:]
	return x
}

func (f *fields) uint64() uint64 {
	b := f.bytes(8)
	if !f.ok {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

func (f *fields) bytes(n uint64) []byte {
	if n > uint64(len(f.b)) {
		f.ok = false
		return nil
	}
	b := f.b[:n:n]
	f.b = f.b[n:]
	return b
}
