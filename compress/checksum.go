package compress

import (
	"hash/crc32"
	"runtime"
	"sync"
)

// castagnoliReversed is the polynomial of CRC-32C without its highest term, x^0 in the
// top bit as in hash/crc32.
const castagnoliReversed = crc32.Castagnoli

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// copySummed copies src to dst, unless that is nil, and returns the checksum of src. Large
// ones are copied and summed in parallel, a block at a time while it is in the processor's
// caches.
func copySummed(dst, src []byte) uint32 {
	pieces := max(1, min(runtime.GOMAXPROCS(0), len(src)/pieceSize))
	if pieces == 1 {
		return copySummedPiece(dst, src)
	}
	sums := make([]uint32, pieces)
	var wg sync.WaitGroup
	for i := range pieces {
		start, end := part(len(src), i, pieces), part(len(src), i+1, pieces)
		wg.Go(func() {
			if dst == nil {
				sums[i] = checksum(src[start:end])
			} else {
				sums[i] = copySummedPiece(dst[start:end], src[start:end])
			}
		})
	}
	wg.Wait()
	sum := sums[0]
	for i := 1; i < pieces; i++ {
		sum = joinChecksums(sum, sums[i], part(len(src), i+1, pieces)-part(len(src), i, pieces))
	}
	return sum
}

func copySummedPiece(dst, src []byte) uint32 {
	if dst == nil {
		return checksum(src)
	}
	const block = 64 << 10
	var sum uint32
	for len(src) > 0 {
		n := copy(dst, src[:min(block, len(src))])
		sum = crc32.Update(sum, castagnoli, dst[:n])
		dst, src = dst[n:], src[n:]
	}
	return sum
}

// joinChecksums returns the checksum of bytes that have the checksum first, followed by
// n bytes that have the checksum second, without looking at either again. Frames are
// summed in parallel that way.
//
// Up to inversions that cancel out, the checksum is the remainder of the bytes as a
// polynomial; n more bytes multiply what stands before them by x^8n.
func joinChecksums(first, second uint32, n int) uint32 {
	power := uint32(1) << (31 - 8) // x^8, then x^16, x^32...
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			first = multiply(first, power)
		}
		power = multiply(power, power)
	}
	return first ^ second
}

// multiply returns the product of two remainders.
func multiply(a, b uint32) uint32 {
	var product uint32
	for bit := uint32(1) << 31; bit != 0; bit >>= 1 { // x^0, x^1...
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1 // x^31 becomes x^32
		b >>= 1
		if carry != 0 {
			b ^= castagnoliReversed
		}
	}
	return product
}
