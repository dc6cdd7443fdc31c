package workload

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestGenerate(t *testing.T) {
	states := Generate(1)
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	var small, large, all, given, encoded int
	for i, state := range states {
		if len(state) < 1<<10 || len(state) > 4<<20 {
			t.Errorf("state %d has %d bytes; want 1 KiB to 4 MiB", i, len(state))
		}
		if len(state) < 64<<10 {
			small++
		} else {
			large++
		}
		all += len(state)
		if len(state) > 512<<10 {
			continue // more of the same, and slow under the race detector
		}
		if !json.Valid(state) {
			t.Errorf("state %d is no JSON: %.100s", i, state)
		}
		given += len(state)
		encoded += len(encoder.EncodeAll(state, nil))
	}
	if small != large {
		t.Errorf("%d states below 64 KiB, the middle of the range, and %d above; want as many", small, large)
	}
	if all < 28<<20 || all > 36<<20 {
		t.Errorf("%d bytes in all; want about 32 MiB", all)
	}
	if ratio := float64(given) / float64(encoded); ratio < 4 || ratio > 5 {
		t.Errorf("zstd makes them %.2f times smaller; want 4 to 5", ratio)
	}
}

func TestGenerateFollowsTheSeed(t *testing.T) {
	few := func(seed uint64) [][]byte { return generate(seed, 12, 1<<10, 64<<10) }
	first, again, other := few(1), few(1), few(2)
	if !slices.EqualFunc(first, again, bytes.Equal) {
		t.Error("the same seed gave different states")
	}
	for i := range first {
		if bytes.Equal(first[i], other[i]) {
			t.Errorf("state %d is the same for two seeds", i)
		}
	}
}
