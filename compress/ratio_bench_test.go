package compress_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store"
)

// BenchmarkRatios compares what this package does with what it is measured by, one
// right after the other again and again, and reports medians of what each pair
// gives: other work on the machine then hits both alike. Times are those of one
// call, the first of the pair being this package.
func BenchmarkRatios(b *testing.B) {
	for _, size := range benchSizes {
		state := jsonState(size.bytes)
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			b.Fatal(err)
		}
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		if err != nil {
			b.Fatal(err)
		}
		defer decoder.Close()
		encoded := encoder.EncodeAll(state, nil)
		room := make([]byte, 0, len(state)+1000)
		s := mustNew(b, &fixed{}, compress.Options{})
		defer mustClose(b, s)
		snap := snapshot(1, state)
		save := func() {
			if err := s.Save(b.Context(), snap); err != nil {
				b.Fatal(err)
			}
		}
		save()
		stored := s.Unwrap().(*fixed)
		stored.keep = true
		save()
		stored.keep = false
		calls := max(1, 200_000/size.bytes) // in one time
		b.Run(size.name+"/Save to EncodeAll", func(b *testing.B) {
			pairs(b, calls, save, func() { room = encoder.EncodeAll(state, room[:0]) })
			b.ReportMetric(float64(len(stored.blob))/float64(len(encoded)), "size-ratio")
		})
		view := func(store.Snapshot) error { return nil }
		b.Run(size.name+"/ViewLatest to DecodeAll", func(b *testing.B) {
			pairs(b, calls, func() {
				if err := s.ViewLatest(b.Context(), id, view); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, err := decoder.DecodeAll(encoded, room[:0]); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(size.name+"/LoadLatest to DecodeAll into new memory", func(b *testing.B) {
			pairs(b, calls, func() {
				if _, err := s.LoadLatest(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, err := decoder.DecodeAll(encoded, nil); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

var _ = []any{bytes.Clone, fmt.Sprint, exec.Command, filepath.Join, os.Open, regexp.Compile, strconv.Itoa}

// pairs times calls of one and of the other in turns.
func pairs(b *testing.B, calls int, one, other func()) {
	var times, ratios []float64
	timed := func(f func()) float64 {
		start := time.Now()
		for range calls {
			f()
		}
		return float64(time.Since(start)) / float64(calls)
	}
	for b.Loop() {
		first, second := timed(one), timed(other)
		times = append(times, first)
		ratios = append(ratios, first/second)
	}
	slices.Sort(times)
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(times[len(times)/2], "ns/call")
	b.ReportMetric(ratios[len(ratios)/2], "time-ratio")
	b.ReportMetric(ratios[len(ratios)/10], "time-ratio-p10")
}

// fixed is a store that does nothing but hold one state, and lend it.
type fixed struct {
	keep bool
	blob []byte
}

func (f *fixed) Save(_ context.Context, snap store.Snapshot) error {
	if f.keep {
		f.blob = bytes.Clone(snap.State)
	}
	return nil
}
func (f *fixed) snapshot() store.Snapshot { return snapshot(1, f.blob) }
func (f *fixed) LoadLatest(context.Context, string) (store.Snapshot, error) {
	return f.snapshot(), nil
}
func (f *fixed) LoadBefore(context.Context, string, uint64) (store.Snapshot, error) {
	return f.snapshot(), nil
}
func (f *fixed) ViewLatest(_ context.Context, _ string, view func(store.Snapshot) error) error {
	return view(f.snapshot())
}
func (f *fixed) Delete(context.Context, string, uint64) error { return nil }
func (f *fixed) Close() error                                 { return nil }
