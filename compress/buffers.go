package compress

import (
	"math/bits"
	"sync"
)

// buffers is a pool of byte slices, by powers of two, so that a small request does
// not hold on to what a giant one took. What nobody uses goes with the next two
// garbage collections. The zero value is ready for use.
type buffers struct {
	classes [bits.UintSize]sync.Pool // of *[]byte, by the binary logarithm of their length
}

const minBufferClass = 12 // 4 KiB

// get returns a buffer of at least n bytes, whose content is arbitrary.
func (p *buffers) get(n int) *[]byte {
	class := max(bits.Len(uint(max(n, 1)-1)), minBufferClass)
	if b, ok := p.classes[class].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 1<<class)
	return &b
}

// put gives back what get returned, to be used by nobody any more.
func (p *buffers) put(b *[]byte) {
	p.classes[bits.Len(uint(len(*b)-1))].Put(b)
}
