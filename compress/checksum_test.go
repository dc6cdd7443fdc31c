package compress

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestJoinChecksums(t *testing.T) {
	content := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{4}).Read(content) // never fails
	for _, n := range []int{0, 1, 2, 3, 7, 8, 255, 256, 4097, 1 << 20, 1<<20 + 1, 3 << 20} {
		for _, at := range []int{0, 1, n / 3, n / 2, n} {
			if at > n {
				continue
			}
			got := joinChecksums(checksum(content[:at]), checksum(content[at:n]), n-at)
			if want := checksum(content[:n]); got != want {
				t.Errorf("%d and %d bytes: %08x; want %08x", at, n-at, got, want)
			}
		}
	}
}

func TestCopySummed(t *testing.T) {
	src := make([]byte, 3<<20+17)
	for i := range src {
		src[i] = byte(i * 7 / 3)
	}
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, pieceSize, 2*pieceSize - 1, 2 * pieceSize, len(src)} {
		dst := make([]byte, size)
		if got, want := copySummed(dst, src[:size]), checksum(src[:size]); got != want || !bytes.Equal(dst, src[:size]) {
			t.Errorf("%d bytes have the sum %08x; want %08x", size, got, want)
		}
		if got, want := copySummed(nil, src[:size]), checksum(src[:size]); got != want {
			t.Errorf("%d bytes, not copied, have the sum %08x; want %08x", size, got, want)
		}
	}
}
