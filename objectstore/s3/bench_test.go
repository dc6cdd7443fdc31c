package s3_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

// BenchmarkLoadLatest compares loads of the latest of many snapshots, and of one of many
// ids, with those of the only one, over the fake server. Loads of both take turns, and
// the ratio is that of their medians.
func BenchmarkLoadLatest(b *testing.B) {
	for _, many := range []string{"snapshots", "ids"} {
		b.Run("5000-"+many, func(b *testing.B) {
			open := func(snapshots, ids int) *objectstore.Store {
				f := newFake(b)
				into, err := objectstore.New(f.objects, objectstore.Options{}) // without HTTP; what it closes is still needed
				if err != nil {
					b.Fatal(err)
				}
				for i := range ids {
					for nr := range snapshots {
						snap := store.Snapshot{PersistenceID: fmt.Sprint("order-", i), SequenceNr: uint64(nr), State: []byte("state")}
						if err := into.Save(b.Context(), snap); err != nil {
							b.Fatal(err)
						}
					}
				}
				s, err := objectstore.New(f.open(b), objectstore.Options{})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() {
					if err := s.Close(); err != nil {
						b.Error(err)
					}
				})
				return s
			}
			few, lots := open(1, 1), open(5000, 1)
			if many == "ids" {
				lots = open(1, 5001)
			}
			load := func(s *objectstore.Store) time.Duration {
				start := time.Now()
				if _, err := s.LoadLatest(b.Context(), "order-0"); err != nil {
					b.Fatal(err)
				}
				return time.Since(start)
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
		})
	}
}
