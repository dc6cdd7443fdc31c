package compress

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/store"
)

// A Level trades the time of a Save for the size of what is stored. It makes no
// difference to loads, and every level reads what the others wrote.
type Level string

// The levels. How much smaller states become and how long that takes, relative to
// Fastest, was measured on the JSON of 1 to 4 MiB that bench generates, and on
// payloads of webhooks, of 8 KB in the middle. Fastest does 300 to 500 MB/s of either on
// one core.
//
//	            1 to 4 MiB           8 KB
//	Fastest     4.45 times, 1        5.78 times, 1
//	Default     4.64 times, 1.7      6.01 times, 1.6
//	Better      4.85 times, 2.5      6.18 times, 2.5
//	Best        5.15 times, 14       6.34 times, 9
//
// Fastest is what Options default to. The next level makes a state of 1 MiB 4 % or
// 10 KB smaller and takes 2 ms longer for it, so that a Save gains from it only where
// the store beneath writes less than 5 MB/s. Where it is the space that counts,
// Better is worth its time; Best is for what is saved rarely and kept for long.
//
// With a dictionary, Best is the same as Better.
const (
	Fastest Level = "fastest"
	Default Level = "default" // what zstd calls its default
	Better  Level = "better"
	Best    Level = "best"
)

// ParseLevel returns the level of that name. Any other name is ErrInvalid.
func ParseLevel(name string) (Level, error) {
	l := Level(name)
	if _, ok := encoderLevels[l]; !ok {
		return "", fmt.Errorf("compress: %w Level %q; allowed are %q, %q, %q and %q", store.ErrInvalid, name, Fastest, Default, Better, Best)
	}
	return l, nil
}

var encoderLevels = map[Level]zstd.EncoderLevel{
	Fastest: zstd.SpeedFastest,
	Default: zstd.SpeedDefault,
	Better:  zstd.SpeedBetterCompression,
	Best:    zstd.SpeedBestCompression,
}
