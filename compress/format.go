package compress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/store"
)

// The parts of a blob that are the same in each; see the package doc.
const (
	skippableMagic = "\x5a\x2a\x4d\x18"
	ownMagic       = "\x53\xc5\x5a\xa7"
	trailerStart   = skippableMagic + "\x08\x00\x00\x00" + ownMagic

	version = 1

	versionAt   = 12
	flagsAt     = 13
	sizesAt     = 14
	trailerSize = len(trailerStart) + 4

	// flagDictionary says that frames name dictionaries.
	flagDictionary = 1

	// minContent is the least that a frame before the last decodes to. It keeps a
	// reader from having to remember millions of frames of one byte each.
	minContent = 64 << 10
)

// A blob is a stored state taken apart.
type blob struct {
	size   int // of the state
	frames []frame
}

type frame struct {
	encoded []byte
	at      int // where in the state its content stands
	size    int // of its content

	dictionary uint32 // id of the one it needs, or 0

	// raw is the content where it stands in encoded as it is, in one block;
	// otherwise nil.
	raw []byte
}

// isBlob says whether stored is a blob, though perhaps a damaged one, and not a
// state from before the wrapper.
func isBlob(stored []byte) bool {
	n := len(stored)
	if n >= 12 && string(stored[:4]) == skippableMagic && string(stored[8:12]) == ownMagic {
		return true // as nearly always
	}
	if n >= 12 && matches(stored[:4], skippableMagic)+matches(stored[8:12], ownMagic) >= 6 {
		return true
	}
	if n >= trailerSize {
		return matches(stored[n-trailerSize:n-4], trailerStart) >= 10
	}
	return isHeaderCutShort(stored) || isTrailerCutShort(stored)
}

// isHeaderCutShort says whether stored is the beginning of a header up to
// somewhere in its own magic. The frame magic alone is not enough: any application
// may have it, and fewer bytes are anybody's.
func isHeaderCutShort(stored []byte) bool {
	n := len(stored)
	if n <= 4 || n >= 12 || string(stored[:4]) != skippableMagic {
		return false
	}
	if n < 8 {
		return true
	}
	whole := int64(binary.LittleEndian.Uint32(stored[4:])) <= int64(n-8) // a frame of the application's own
	return !whole && string(stored[8:]) == ownMagic[:n-8]
}

// isTrailerCutShort says whether stored is the end of a trailer from somewhere
// before its own magic on.
func isTrailerCutShort(stored []byte) bool {
	n := len(stored)
	return n >= 8 && n < trailerSize && strings.HasSuffix(trailerStart, string(stored[:n-4]))
}

// matches counts the bytes of b that are those of pattern, which is as long.
func matches(b []byte, pattern string) int {
	count := 0
	for i, c := range b {
		if c == pattern[i] {
			count++
		}
	}
	return count
}

// parseBlob takes a blob apart, and puts its frames into space if there is room. It
// takes no memory to speak of, whatever the blob says, and decodes nothing. A state
// over maxSize is ErrTooLarge.
func parseBlob(stored []byte, maxSize int64, space []frame) (blob, error) {
	end := len(stored) - trailerSize
	if end < sizesAt || string(stored[:4]) != skippableMagic || string(stored[8:12]) != ownMagic {
		return blob{}, corrupt("header damaged or cut short")
	}
	if string(stored[end:end+len(trailerStart)]) != trailerStart {
		return blob{}, corrupt("end missing")
	}
	// Before anything else is believed: a flipped bit in the version must not look
	// like a newer one.
	if checksum(stored[:len(stored)-4]) != binary.LittleEndian.Uint32(stored[len(stored)-4:]) {
		return blob{}, corrupt("checksum does not match")
	}
	if v := stored[versionAt]; v != version {
		return blob{}, fmt.Errorf("compress: stored in format version %d, and only version %d is known here: %w", v, version, errors.ErrUnsupported)
	}
	flags := stored[flagsAt]
	if unknown := flags &^ flagDictionary; unknown != 0 {
		return blob{}, fmt.Errorf("compress: stored with format flags %#02x, of which %#02x is not known here: %w", flags, unknown, errors.ErrUnsupported)
	}

	headerEnd := 8 + int64(binary.LittleEndian.Uint32(stored[4:]))
	if headerEnd < sizesAt || headerEnd > int64(end) {
		return blob{}, corrupt("wrong header length")
	}
	header, frames := stored[sizesAt:headerEnd], stored[headerEnd:end]
	size, n := binary.Uvarint(header)
	if n <= 0 {
		return blob{}, corrupt("header without the size of the state")
	}
	header = header[n:]
	if size > uint64(maxSize) {
		return blob{}, fmt.Errorf("compress: %w: it decodes to %d bytes; allowed by MaxDecodedBytes are %d", store.ErrTooLarge, size, maxSize)
	}

	b := blob{size: int(size), frames: space[:0]}
	at := 0
	var needs byte // of flags
	for len(header) > 0 {
		length, n := binary.Uvarint(header)
		if n <= 0 || length > uint64(len(frames)) {
			return blob{}, corrupt("wrong size of frame %d", len(b.frames))
		}
		f, err := parseFrame(frames[:length], b.size-at)
		if err != nil {
			return blob{}, corrupt("frame %d: %v", len(b.frames), err)
		}
		header, frames = header[n:], frames[length:]
		if f.size < minContent && len(header) > 0 {
			return blob{}, corrupt("frame %d holds %d bytes only", len(b.frames), f.size)
		}
		if f.dictionary != 0 {
			needs |= flagDictionary
		}
		f.at = at
		at += f.size
		b.frames = append(b.frames, f)
	}
	if len(frames) > 0 || at != b.size {
		return blob{}, corrupt("frames do not add up")
	}
	if flags != needs {
		return blob{}, corrupt("flags %#02x where frames need %#02x", flags, needs)
	}
	return b, nil
}

// parseFrame reads the head of a frame that may hold up to maxSize bytes: RFC 8878,
// 3.1.1.1. Those of blobs are of one segment and name their size, so that there are few
// kinds; zstd.Header reads all and takes as long for it as the rest of parseBlob does.
func parseFrame(encoded []byte, maxSize int) (frame, error) {
	if len(encoded) < 6 || string(encoded[:4]) != frameMagic {
		return frame{}, errors.New("no head")
	}
	descriptor := encoded[4]
	if descriptor&(singleSegment|reservedBit) != singleSegment {
		return frame{}, errors.New("not one segment of a given size")
	}
	at := 5
	f := frame{encoded: encoded}
	var field [8]byte
	if length := int("\x00\x01\x02\x04"[descriptor&3]); length > 0 {
		at += copy(field[:length], encoded[at:])
		f.dictionary = binary.LittleEndian.Uint32(field[:])
		field = [8]byte{}
	}
	length := 1 << (descriptor >> 6)
	if len(encoded) < at+length+blockHeaderSize {
		return frame{}, errors.New("cut short")
	}
	at += copy(field[:length], encoded[at:])
	size := binary.LittleEndian.Uint64(field[:])
	if length == 2 {
		size += 256
	}
	if size == 0 || size > uint64(maxSize) {
		return frame{}, fmt.Errorf("wrong size %d", size)
	}
	f.size = int(size)

	head := uint32(encoded[at]) | uint32(encoded[at+1])<<8 | uint32(encoded[at+2])<<16
	start := at + blockHeaderSize
	end := start + f.size
	if descriptor&checksumBit != 0 {
		encoded = encoded[:len(encoded)-4] // the blob's own checksum was right
	}
	if f.size <= maxBlockSize && head == lastRawBlock|uint32(f.size)<<3 && end == len(encoded) {
		f.raw = encoded[start:end:end]
	}
	return f, nil
}

// maxHeaderSize returns the greatest size of the header of n frames.
func maxHeaderSize(n int) int { return sizesAt + (n+1)*binary.MaxVarintLen64 }

// appendHeader appends the header of a state of that size and of frames of those.
func appendHeader(dst []byte, flags byte, size int, frames []int) []byte {
	start := len(dst)
	dst = append(dst, skippableMagic+"\x00\x00\x00\x00"+ownMagic...)
	dst = append(dst, version, flags)
	dst = binary.AppendUvarint(dst, uint64(size))
	for _, f := range frames {
		dst = binary.AppendUvarint(dst, uint64(f))
	}
	binary.LittleEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-8))
	return dst
}

// appendTrailer appends the trailer of what stands in unfinished before it.
func appendTrailer(unfinished []byte) []byte {
	unfinished = append(unfinished, trailerStart...)
	return binary.LittleEndian.AppendUint32(unfinished, checksum(unfinished))
}

// appendTrailerWithSum is appendTrailer where the checksum of unfinished is known.
func appendTrailerWithSum(unfinished []byte, sum uint32) []byte {
	unfinished = append(unfinished, trailerStart...)
	sum = joinChecksums(sum, checksum([]byte(trailerStart)), len(trailerStart))
	return binary.LittleEndian.AppendUint32(unfinished, sum)
}

// The parts of a frame (RFC 8878, 3.1.1).
const (
	frameMagic = "\x28\xb5\x2f\xfd"

	// Bits of the descriptor. The upper two say how long the field of the size is, the
	// lower two that of the dictionary's id.
	singleSegment = 1 << 5
	reservedBit   = 1 << 3
	checksumBit   = 1 << 2

	lastRawBlock = 1 // head of a block, but for its size from bit 3 on
)

// Sizes of a frame of raw blocks.
const (
	blockHeaderSize = 3
	maxBlockSize    = 128 << 10 // RFC 8878, 3.1.1.2.4
)

// rawFrameSize returns the size of the frame that appendRawFrame appends.
func rawFrameSize(size int) int {
	head := 4 + 1 + 8 // magic, descriptor, and the size in 1, 2, 4 or 8 bytes
	switch {
	case size < 256:
		head -= 7
	case size < 65536+256:
		head -= 6
	case int64(size) <= math.MaxUint32:
		head -= 4
	}
	blocks := (size + maxBlockSize - 1) / maxBlockSize
	return head + blocks*blockHeaderSize + size
}

// maxFrameSize returns the most that a frame of size bytes of content takes: that of raw
// blocks, which an encoder falls back to as well, with a dictionary's id and zstd's
// checksum.
func maxFrameSize(size int) int { return rawFrameSize(size) + 4 + 4 }

// appendRawFrame appends a zstd frame that holds content as it is, content not
// being empty.
func appendRawFrame(dst, content []byte) []byte {
	h := zstd.Header{SingleSegment: true, FrameContentSize: uint64(len(content))}
	dst, err := h.AppendTo(dst)
	if err != nil {
		panic(err) // documented to check nothing
	}
	for len(content) > 0 {
		block := content[:min(len(content), maxBlockSize)]
		content = content[len(block):]
		head := uint32(len(block)) << 3 // bits 1 and 2 are the type, 0 for raw
		if len(content) == 0 {
			head |= lastRawBlock
		}
		dst = append(dst, byte(head), byte(head>>8), byte(head>>16))
		dst = append(dst, block...)
	}
	return dst
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: compress: %s", store.ErrCorrupt, fmt.Sprintf(format, args...))
}
