package compress

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/store"
)

// A Level trades the time of a Save for the size of what is stored. It makes no
// difference to loads, and every level reads what the others wrote.
type Level string

// The levels, with what they make of 4 MB of JSON on one core.
const (
	Fastest Level = "fastest" // 4.7 times smaller at 490 MB/s
	Default Level = "default" // what zstd calls its default level: 4.6 times at 320 MB/s
	Better  Level = "better"  // 5.0 times at 190 MB/s
	Best    Level = "best"    // 5.0 times at 30 MB/s
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
