package objectstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/snapstack/snapstack/objectstore"
)

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
