package encrypt

import "sync"

// buffers are byte slices to use again. What is not used for a while, such as what a
// giant state took, the garbage collector takes back, as it does from every sync.Pool.
type buffers struct{ pool sync.Pool }

// get returns an empty slice with room for size bytes.
func (b *buffers) get(size int) *[]byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok && cap(*buffer) >= size {
		return buffer
	}
	buffer := make([]byte, 0, size)
	return &buffer
}

func (b *buffers) put(buffer *[]byte) { b.pool.Put(buffer) }
