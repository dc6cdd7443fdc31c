package compress_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store"
)

var benchSizes = []struct {
	name  string
	bytes int
}{{"1KB", 1000}, {"64KB", 64 << 10}, {"4MB", 4 << 20}, {"16MB", 16 << 20}}

// BenchmarkSave compares a Save over a store that keeps nothing with one call of
// the encoder at the same level.
func BenchmarkSave(b *testing.B) {
	for _, size := range benchSizes {
		state := jsonState(size.bytes)
		b.Run(size.name+"/EncodeAll", func(b *testing.B) {
			encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
			if err != nil {
				b.Fatal(err)
			}
			dst := encoder.EncodeAll(state, nil)
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				dst = encoder.EncodeAll(state, dst[:0])
			}
			b.ReportMetric(float64(len(state))/float64(len(dst)), "ratio")
		})
		b.Run(size.name+"/Save", func(b *testing.B) {
			inner := mustMemory(b, 0)
			keep := mustNew(b, noClose{inner}, compress.Options{})
			mustSave(b, keep, 1, state)
			mustClose(b, keep)
			s := mustNew(b, &sink{SnapshotStore: inner}, compress.Options{})
			defer mustClose(b, s)
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				mustSave(b, s, 1, state)
			}
			b.ReportMetric(float64(len(state))/float64(len(storedState(b, inner))), "ratio")
		})
	}
	b.Run("4MB random/Save", func(b *testing.B) {
		state := randomState(4 << 20)
		s := mustNew(b, &sink{SnapshotStore: mustMemory(b, 0)}, compress.Options{})
		defer mustClose(b, s)
		b.SetBytes(4 << 20)
		for b.Loop() {
			mustSave(b, s, 1, state)
		}
	})
}

// BenchmarkLoad compares ViewLatest and LoadLatest over a store that lends with one
// call of the decoder.
func BenchmarkLoad(b *testing.B) {
	for _, size := range benchSizes {
		state := jsonState(size.bytes)
		b.Run(size.name+"/DecodeAll", func(b *testing.B) {
			encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
			if err != nil {
				b.Fatal(err)
			}
			decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
			if err != nil {
				b.Fatal(err)
			}
			defer decoder.Close()
			encoded := encoder.EncodeAll(state, nil)
			dst := make([]byte, 0, len(state))
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decoder.DecodeAll(encoded, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
		s := mustNew(b, mustMemory(b, 0), compress.Options{})
		defer mustClose(b, s)
		mustSave(b, s, 1, state)
		b.Run(size.name+"/ViewLatest", func(b *testing.B) {
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.ViewLatest(b.Context(), id, func(store.Snapshot) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(size.name+"/LoadLatest", func(b *testing.B) {
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.LoadLatest(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLevels shows what the levels trade, on one core: on payloads of webhooks, of
// 8 KB in the middle, and on the states of 1 to 4 MiB that bench generates.
func BenchmarkLevels(b *testing.B) {
	large := slices.DeleteFunc(workload.Generate(1), func(state []byte) bool { return len(state) < 1<<20 })
	for name, states := range map[string][][]byte{"webhooks": webhookStates(b), "large": large} {
		total := 0
		for _, state := range states {
			total += len(state)
		}
		for _, level := range []compress.Level{compress.Fastest, compress.Default, compress.Better, compress.Best} {
			b.Run(fmt.Sprint(name, "/", level), func(b *testing.B) {
				if states == nil {
					b.Skip("no corpus here")
				}
				s := mustNew(b, &fixed{}, compress.Options{Level: level, Concurrency: 1})
				defer mustClose(b, s)
				b.SetBytes(int64(total))
				for b.Loop() {
					for _, state := range states {
						mustSave(b, s, 1, state)
					}
				}
				b.ReportMetric(float64(total)/float64(storedBytes(b, compress.Options{Level: level}, states)), "ratio")
			})
		}
	}
}

// sink is a store whose Save keeps nothing.
type sink struct{ store.SnapshotStore }

func (*sink) Save(ctx context.Context, snap store.Snapshot) error { return ctx.Err() }
