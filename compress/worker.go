package compress

import (
	"math/bits"

	"github.com/klauspost/compress/zstd"
)

// A worker is what one frame at a time is encoded or decoded with. Each part takes most
// of its memory when it is first used.
type worker struct {
	encoder     *zstd.Encoder
	dictEncoder *zstd.Encoder // with the first dictionary; nil where there is none
	sampler     *zstd.Encoder // see incompressible
	decoder     *zstd.Decoder
}

// newWorker returns a worker for opts, which have been checked and have their defaults.
func newWorker(opts Options) (*worker, error) {
	var w worker
	var err error
	// No frame has more to look back at than its own content. Where nothing repeats, some
	// bytes may still be more frequent than others, as digits are: by itself Fastest would
	// leave such content as it is. What has neither is sampled out before (incompressible).
	w.encoder, err = newEncoder(encoderLevels[opts.Level], frameSize, zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	w.sampler, err = newEncoder(zstd.SpeedFastest, sampleSize, zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	if len(opts.Dictionaries) > 0 {
		level := encoderLevels[opts.Level]
		if opts.Level == Best {
			// Best indexes the dictionary anew for every state: 2 ms for 64 KiB, where the
			// others copy an index, and what comes out is no smaller than at Better.
			level = encoderLevels[Better]
		}
		first := opts.Dictionaries[0]
		window := 1 << bits.Len(uint(len(first)+maxWithDictionary-1)) // to look back at all of it from anywhere
		w.dictEncoder, err = newEncoder(level, window, zstd.WithEncoderDict(first))
		if err != nil {
			return nil, err
		}
	}
	w.decoder, err = zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecodeAllCapLimit(true), // never more than the frame said, and its place has room for
		zstd.WithDecoderDicts(opts.Dictionaries...),
	)
	if err != nil {
		return nil, err
	}
	return &w, nil
}

func newEncoder(level zstd.EncoderLevel, window int, more ...zstd.EOption) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, append([]zstd.EOption{
		zstd.WithEncoderLevel(level),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(window),
		zstd.WithSingleSegment(true), // else frames under 256 bytes don't name their size
	}, more...)...)
}

// forgottenSize is the size of a state from which on decoders are made to forget it.
const forgottenSize = 64 << 10

// emptyFrame is a zstd frame of no content, of one segment and in one raw block.
var emptyFrame = []byte("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00")

// forget makes the decoder forget where it decoded to last. Until it decodes something
// else it would keep alive the state of which that was a frame.
func (w *worker) forget() {
	// The frame is right; were it not, memory would be held for longer, and nothing else.
	_, _ = w.decoder.DecodeAll(emptyFrame, nil)
}
