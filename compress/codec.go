package compress

import (
	"context"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// frameSize is the most that a frame is given to hold. Of 512 KiB, frames make the
// whole 0.3 to 0.6 % larger than a single one; of 1 MiB, 0.2 %.
const frameSize = 1 << 20

// codec turns states into blobs and back. It is safe for concurrent use.
type codec struct {
	slots    slots
	encoder  *zstd.Encoder
	decoder  *zstd.Decoder
	minBytes int   // smaller states are stored in raw blocks
	maxBytes int64 // of a state
}

// newCodec returns the codec of opts, which have been checked.
func newCodec(opts Options) (*codec, error) {
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(encoderLevels[opts.Level]),
		zstd.WithEncoderConcurrency(opts.Concurrency),
		zstd.WithWindowSize(frameSize), // no frame has more to look back at
		zstd.WithSingleSegment(true),   // else those under 256 bytes don't name their size
	)
	if err != nil {
		return nil, err
	}
	decoder, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(opts.Concurrency),
		zstd.WithDecodeAllCapLimit(true), // never more than the frame said, and its place has room for
	)
	if err != nil {
		return nil, err
	}
	return &codec{
		slots:    make(slots, opts.Concurrency),
		encoder:  encoder,
		decoder:  decoder,
		minBytes: opts.MinBytes,
		maxBytes: opts.MaxDecodedBytes,
	}, nil
}

func (c *codec) close() error {
	c.decoder.Close()
	return c.encoder.Close()
}

// maxBlobSize returns the size of the buffer that encode needs for a state of size
// bytes.
func (c *codec) maxBlobSize(size int) int {
	n := frameCount(size)
	return maxHeaderSize(n) + n*c.maxFrameSize(size, n) + trailerSize
}

// encode returns the blob of state, written somewhere in buffer, which is of
// maxBlobSize. It reads state no more when it returns.
func (c *codec) encode(ctx context.Context, state, buffer []byte) ([]byte, error) {
	// Every frame is encoded into a part of the buffer that has room for the worst
	// case; then they move down to stand one after the other. The header's size is
	// known only then: it is put right before them.
	n := frameCount(len(state))
	start := maxHeaderSize(n)
	room := c.maxFrameSize(len(state), n)
	frames := make([][]byte, n)
	err := c.slots.each(ctx, n, func(i int) error {
		content := state[part(len(state), i, n):part(len(state), i+1, n)]
		at := start + i*room
		place := buffer[at : at : at+room]
		if len(state) < c.minBytes {
			frames[i] = appendRawFrame(place, content)
		} else {
			frames[i] = c.encoder.EncodeAll(content, place)
		}
		if len(frames[i]) > room {
			return fmt.Errorf("compress: a frame of %d bytes took %d, over the encoder's own limit of %d", len(content), len(frames[i]), room)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	header := appendHeader(buffer[:0], len(state), frames)
	begin := start - len(header)
	copy(buffer[begin:], header)
	blob := buffer[begin:start]
	for _, f := range frames {
		// Never over a frame that is still to move, as each took its room at most. One
		// that outgrew its room for a moment stands elsewhere, in memory of its own.
		blob = append(blob, f...)
	}
	return appendTrailer(blob), nil
}

// frameCount returns how many frames a state of size bytes is cut into.
func frameCount(size int) int { return (size + frameSize - 1) / frameSize }

// part returns where part i of n equal ones of size bytes begins.
func part(size, i, n int) int { return int(int64(size) * int64(i) / int64(n)) }

// maxFrameSize returns the most that any frame takes of the n that a state of size
// bytes is cut into.
func (c *codec) maxFrameSize(size, n int) int {
	if n == 0 {
		return 0
	}
	return c.encoder.MaxEncodedSize((size + n - 1) / n) // raw blocks take no more either
}

// decode writes the state of b to dst, which is as long.
func (c *codec) decode(ctx context.Context, b blob, dst []byte) error {
	return c.slots.each(ctx, len(b.frames), func(i int) error {
		f := b.frames[i]
		end := f.at + f.size
		if f.raw != nil {
			copy(dst[f.at:end], f.raw)
			return nil
		}
		content, err := c.decoder.DecodeAll(f.encoded, dst[f.at:f.at:end])
		if err != nil {
			return corrupt("frame %d: %v", i, err)
		}
		if len(content) != f.size {
			return corrupt("frame %d decodes to %d bytes, not %d", i, len(content), f.size)
		}
		if &content[0] != &dst[f.at] {
			copy(dst[f.at:end], content) // not needed by now; DecodeAll promises to append, not where
		}
		return nil
	})
}
