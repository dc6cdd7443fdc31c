package compress

const (
	sampledSize = 64 << 10 // content below it is encoded right away: that costs little more
	sampleCount = 16
	sampleSize  = 1 << 10
)

// incompressible looks at a little of a frame's content and says whether the rest is
// not worth encoding either: what is encrypted, or compressed already, comes out as
// large as it went in.
//
// The samples are spread evenly over the content, 64 KiB apart or a little more, and
// the first that can shrink by a sixteenth ends the search: mixed content is encoded.
// Not seen is what has all bytes equally often and repeats itself in one place only, or
// further away than a sample is long.
func (c *codec) incompressible(w *worker, content []byte) bool {
	if len(content) < sampledSize {
		return false
	}
	room := c.buffers.get(2 * sampleSize)
	defer c.buffers.put(room)
	for i := range sampleCount {
		at := part(len(content)-sampleSize, i, sampleCount-1)
		sample := content[at : at+sampleSize]
		if uneven(sample) {
			return false
		}
		// What is even and shrinks all the same repeats itself, and does so at length.
		if i%4 == 0 && len(w.sampler.EncodeAll(sample, (*room)[:0])) <= sampleSize-sampleSize/16 {
			return false
		}
	}
	return true
}

// uneven says whether some bytes are so much more frequent in a sample than others
// that it shrinks even if nothing repeats, as digits do. An encoder takes ten times as
// long to find out.
func uneven(sample []byte) bool {
	var counts [256]int
	for _, b := range sample {
		counts[b]++
	}
	equal := 0 // pairs of equal bytes, each byte with itself included
	for _, n := range counts {
		equal += n * n
	}
	// A quarter more than chance gives, from which random bytes are 14 standard
	// deviations away.
	return equal > len(sample)+len(sample)*len(sample)/256*5/4
}
