package compress

import (
	"math/bits"
	"sync"
)

// buffers is a pool of byte slices in size classes, four to each doubling, so that a
// small request does not hold on to what a giant one took, and a buffer is at most
// a quarter larger than asked for. What nobody uses goes with the next two garbage
// collections. The zero value is ready for use.
type buffers struct {
	classes [4 * bits.UintSize]sync.Pool // of *[]byte, by bufferClass of their length
}

const minBufferSize = 4 << 10

// get returns a buffer of at least n bytes, whose content is arbitrary.
func (p *buffers) get(n int) *[]byte {
	class, size := bufferClass(n)
	if b, ok := p.classes[class].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, size)
	return &b
}

// put gives back what get returned, to be used by nobody any more.
func (p *buffers) put(b *[]byte) {
	class, _ := bufferClass(len(*b))
	p.classes[class].Put(b)
}

// bufferClass returns the class of the buffers for n bytes, and their size: n
// rounded up to three significant bits.
func bufferClass(n int) (class, size int) {
	last := uint(max(n, minBufferSize) - 1)
	shift := bits.Len(last) - 3
	steps := int(last>>shift) + 1 // 5 to 8
	return 4*shift + steps - 5, steps << shift
}
