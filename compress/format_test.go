package compress

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// FuzzParseFrame holds parseFrame against zstd.Header, which reads every kind of frame.
func FuzzParseFrame(f *testing.F) {
	encoder, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true))
	if err != nil {
		f.Fatal(err)
	}
	streamed, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, size := range []int{1, 255, 256, 65536 + 255, 65536 + 256, maxBlockSize, maxBlockSize + 1, frameSize} {
		content := bytes.Repeat([]byte("content "), size/8+1)[:size]
		for _, encoded := range [][]byte{appendRawFrame(nil, content), encoder.EncodeAll(content, nil), streamed.EncodeAll(content, nil)} {
			f.Add(encoded, size)
			f.Add(encoded, size-1)
		}
	}
	f.Add([]byte("\x28\xb5\x2f\xfd\x23\x01\x02\x03\x04\x05\x29\x00\x00state\x00"), 5) // with a dictionary's id
	f.Fuzz(func(t *testing.T, encoded []byte, maxSize int) {
		if maxSize < 0 {
			return
		}
		got, err := parseFrame(encoded, maxSize)
		var h zstd.Header
		headErr := h.Decode(encoded)
		first := h.FirstBlock
		valid := headErr == nil && first.OK && !h.Skippable && h.SingleSegment && h.HasFCS &&
			h.FrameContentSize > 0 && h.FrameContentSize <= uint64(maxSize)
		if first.OK && valid != (err == nil) {
			t.Fatalf("%v; zstd.Header says %+v, %v", err, h, headErr)
		}
		if err != nil || !valid {
			return // where there is no block yet either may say so
		}
		end := len(encoded)
		if h.HasCheckSum {
			end -= 4
		}
		start := h.HeaderSize + blockHeaderSize
		raw := first.Last && !first.Compressed && first.DecompressedSize == got.size && start+got.size == end
		if got.size != int(h.FrameContentSize) || got.dictionary != h.DictionaryID || (got.raw != nil) != raw {
			t.Fatalf("size %d, dictionary %d, raw %v; zstd.Header says %+v", got.size, got.dictionary, got.raw != nil, h)
		}
		if raw && !bytes.Equal(got.raw, encoded[start:end]) {
			t.Fatal("the content is elsewhere")
		}
	})
}
