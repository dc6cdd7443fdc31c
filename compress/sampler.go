package compress

import "github.com/klauspost/compress/zstd"

const (
	sampledSize = 64 << 10 // content below it is encoded right away: that costs little more
	sampleCount = 16
	sampleSize  = 1 << 10
)

// newSampler returns the encoder for samples.
func newSampler(concurrency int) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(concurrency),
		zstd.WithEncoderCRC(false),
		zstd.WithAllLitEntropyCompression(true), // digits shrink where nothing repeats
		zstd.WithWindowSize(sampleSize),
		zstd.WithLowerEncoderMem(true),
	)
}

// incompressible looks at a little of a frame's content and says whether the rest is
// not worth encoding either: what is encrypted, or compressed already, comes out as
// large as it went in.
//
// The samples are spread evenly over the content, 64 KiB apart or a little more, and
// the first that shrinks by a sixteenth ends the search: mixed content is encoded.
// Not seen is what repeats itself only further away than a sample is long.
func (c *codec) incompressible(content []byte) bool {
	if len(content) < sampledSize {
		return false
	}
	room := c.buffers.get(2 * sampleSize)
	defer c.buffers.put(room)
	for i := range sampleCount {
		at := part(len(content)-sampleSize, i, sampleCount-1)
		encoded := c.sampler.EncodeAll(content[at:at+sampleSize], (*room)[:0])
		if len(encoded) <= sampleSize-sampleSize/16 {
			return false
		}
	}
	return true
}
