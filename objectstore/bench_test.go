package objectstore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/snapstack/snapstack/objectstore"
)

// BenchmarkLoadLatest compares loads of the latest of many snapshots, and of one of
// many ids, with those of the only one. Loads of both take turns, and the ratio is that
// of their medians.
func BenchmarkLoadLatest(b *testing.B) {
	for _, bucket := range []string{"memory", "directory"} {
		for _, many := range []string{"snapshots", "ids"} {
			b.Run(bucket+"/5000-"+many, func(b *testing.B) {
				open := func(snapshots, ids int) *objectstore.Store {
					var in objectstore.Bucket = objectstore.NewMemoryBucket()
					if bucket == "directory" {
						in = openDirectory(b, b.TempDir())
					}
					s := newStore(b, in, objectstore.Options{})
					b.Cleanup(func() {
						if err := s.Close(); err != nil {
							b.Error(err)
						}
					})
					for i := range ids {
						for nr := range snapshots {
							save(b, s, fmt.Sprintf("order-%d", i), uint64(nr), "state")
						}
					}
					return s
				}
				few, lots := open(1, 1), open(5000, 1)
				if many == "ids" {
					lots = open(1, 5001)
				}
				compareLoads(b, few, lots)
			})
		}
	}
}

// compareLoads loads order-0 from both stores in turn.
func compareLoads(b *testing.B, few, lots *objectstore.Store) {
	load := func(s *objectstore.Store) time.Duration {
		start := time.Now()
		if _, err := s.LoadLatest(b.Context(), "order-0"); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	// Names are remembered when a folder has been seen to stay the same for a while.
	for start := time.Now(); time.Since(start) < 300*time.Millisecond; {
		load(few)
		load(lots)
	}
	var ofFew, ofLots []time.Duration
	for b.Loop() {
		ofFew = append(ofFew, load(few))
		ofLots = append(ofLots, load(lots))
	}
	slices.Sort(ofFew)
	slices.Sort(ofLots)
	few50, lots50 := ofFew[len(ofFew)/2], ofLots[len(ofLots)/2]
	b.ReportMetric(float64(few50.Nanoseconds()), "ns/load-of-1")
	b.ReportMetric(float64(lots50.Nanoseconds()), "ns/load-of-5000")
	b.ReportMetric(float64(lots50)/float64(few50), "ratio")
}

// BenchmarkSaveAndLoadLatest saves and loads in turn the latest of 5,000 snapshots in a
// directory, which are read anew after each Save, and the same of the only one.
func BenchmarkSaveAndLoadLatest(b *testing.B) {
	open := func(snapshots int) *objectstore.Store {
		s := newStore(b, openDirectory(b, b.TempDir()), objectstore.Options{})
		b.Cleanup(func() {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
		for nr := range snapshots {
			save(b, s, "order-0", uint64(nr), "state")
		}
		return s
	}
	few, lots := open(1), open(5000)
	both := func(s *objectstore.Store, latest uint64) (saved, loaded time.Duration) {
		start := time.Now()
		save(b, s, "order-0", latest, "state") // anew
		saved = time.Since(start)
		start = time.Now()
		if _, err := s.LoadLatest(b.Context(), "order-0"); err != nil {
			b.Fatal(err)
		}
		return saved, time.Since(start)
	}
	times := make([][]time.Duration, 4)
	for b.Loop() {
		for i, s := range []*objectstore.Store{few, lots} {
			saved, loaded := both(s, []uint64{0, 4999}[i])
			times[2*i] = append(times[2*i], saved)
			times[2*i+1] = append(times[2*i+1], loaded)
		}
	}
	for i, unit := range []string{"ns/save-of-1", "ns/load-of-1", "ns/save-of-5000", "ns/load-of-5000"} {
		slices.Sort(times[i])
		b.ReportMetric(float64(times[i][len(times[i])/2]), unit)
	}
}
