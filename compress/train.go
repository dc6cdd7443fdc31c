package compress

import (
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/store"
)

const (
	minDictionaryBytes = 1 << 10
	maxDictionaryBytes = 1 << 20

	// maxTrainedBytes is how much of the samples Train looks at. More says little
	// that is new and takes ever longer.
	maxTrainedBytes = 16 << 20
)

// segmentSizes are the lengths of the pieces that a dictionary may be put together
// from. None is best for all states: short ones suit states of a few hundred bytes,
// long ones those that share whole objects. Train tries them all.
var segmentSizes = []int{256, 1024, 4096}

// Train returns a dictionary of at most size bytes, 1024 to 1048576, for states like
// the samples, to be used as one of Options.Dictionaries. It has zstd's format, so
// that `zstd -D` takes it, and the same samples give the same dictionary.
//
// A thousand samples are plenty, a hundred will do; they should be as mixed as the
// states to come, in kind and in age. A size of 16 KiB suits states of up to 2 KiB;
// 64 KiB makes larger ones smaller still, and every Save a little slower: accounts of
// 256 bytes to 2 KB take half of what they do without, payloads of webhooks of 8 KB in
// the middle 30 % with 16 KiB and 24 % with 64.
//
// Of each sample the first 128 KiB count, and of samples with more than 16 MiB in all
// an evenly spread part. Training takes 0.1 to 0.3 s for each megabyte of that, on one
// core: 0.4 s for 329 webhooks of 3.3 MB, 0.25 s for 1000 accounts.
//
// Samples that a dictionary makes no smaller or that are all the same, and a size out
// of range, are store.ErrInvalid. The samples are not changed, and not kept.
func Train(samples [][]byte, size int) ([]byte, error) {
	if size < minDictionaryBytes || size > maxDictionaryBytes {
		return nil, fmt.Errorf("compress: %w size %d of a dictionary; allowed are %d to %d bytes", store.ErrInvalid, size, minDictionaryBytes, maxDictionaryBytes)
	}
	samples = trainable(samples)
	// Judged by the samples that it was made of, the dictionary would be best that
	// knows them by heart.
	var learned, judged [][]byte
	for i, sample := range samples {
		if i%4 == 3 {
			judged = append(judged, sample)
		} else {
			learned = append(learned, sample)
		}
	}
	if len(judged) == 0 {
		judged = learned
	}
	best, bestSize := 0, math.MaxInt
	for _, segment := range segmentSizes {
		dictionary, err := buildDictionary(learned, segment, size)
		if err != nil {
			continue // if it is so for every size, building the last one says why
		}
		took, err := encodedSize(judged, dictionary)
		if err != nil {
			return nil, err
		}
		if took < bestSize {
			best, bestSize = segment, took
		}
	}
	if best == 0 {
		best = segmentSizes[0]
	}
	dictionary, err := buildDictionary(samples, best, size)
	if err != nil {
		return nil, err
	}
	without, err := encodedSize(judged)
	if err != nil {
		return nil, err
	}
	if bestSize >= without {
		return nil, badSamples(samples, "a dictionary of them makes none smaller")
	}
	return dictionary, nil
}

// trainable returns what is looked at of the samples.
func trainable(samples [][]byte) [][]byte {
	var used [][]byte
	total := 0
	for _, sample := range samples {
		sample = sample[:min(len(sample), maxWithDictionary)]
		if len(sample) < segmentHash {
			continue
		}
		used = append(used, sample)
		total += len(sample)
	}
	if total <= maxTrainedBytes {
		return used
	}
	// Taken with a share that rises by itself, the samples are spread evenly, whatever
	// their sizes.
	kept, seen := 0, 0
	return slices.DeleteFunc(used, func(sample []byte) bool {
		seen += len(sample)
		if int64(kept+len(sample))*int64(total) > int64(seen)*maxTrainedBytes {
			return true
		}
		kept += len(sample)
		return false
	})
}

// buildDictionary returns a dictionary of at most size bytes, with content in
// segments of about that length.
func buildDictionary(samples [][]byte, segment, size int) ([]byte, error) {
	content := selectContent(samples, segment, size)
	for {
		if len(content) < segmentHash {
			return nil, badSamples(samples, "they have nothing in common")
		}
		dictionary, err := zstd.BuildDict(zstd.BuildDictOptions{
			ID:       newDictionaryID(content),
			Contents: samples,
			History:  content,
			Offsets:  [3]int{1, 4, 8}, // what zstd begins with; BuildDict finds better ones
			// The statistics are those of what an encoder leaves over. Those of the default
			// level are worth 4 % there, and cost the others 1 %.
			Level:      zstd.SpeedFastest,
			CompatV155: true, // zstd commands before 1.5.6 are around
		})
		if err != nil {
			return nil, badSamples(samples, err.Error())
		}
		if len(dictionary) <= size {
			return dictionary, nil
		}
		// The tables, of 100 to 250 bytes, came on top. What stands first matters least.
		content = content[min(len(content), len(dictionary)-size):]
	}
}

func badSamples(samples [][]byte, why string) error {
	return fmt.Errorf("compress: %w samples for a dictionary: %d of 8 bytes and more: %s; allowed are states that resemble each other and differ", store.ErrInvalid, len(samples), why)
}

// newDictionaryID returns an id that tells this content from any other, most likely,
// among those that are nobody's in particular.
func newDictionaryID(content []byte) uint32 {
	const first, last = 1 << 15, 1<<31 - 1 // RFC 8878, 5: the others are reserved
	return first + crc32.ChecksumIEEE(content)%(last-first+1)
}

// encodedSize returns how many bytes the samples take, with a dictionary if one is
// given.
func encodedSize(samples [][]byte, dictionary ...[]byte) (int, error) {
	opts := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)}
	for _, d := range dictionary {
		opts = append(opts, zstd.WithEncoderDict(d))
	}
	encoder, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		return 0, fmt.Errorf("compress: %w", err)
	}
	total := 0
	var encoded []byte
	for _, sample := range samples {
		encoded = encoder.EncodeAll(sample, encoded[:0])
		total += len(encoded)
	}
	return total, encoder.Close()
}
