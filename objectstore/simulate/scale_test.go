package simulate_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/simulate"
	"github.com/snapstack/snapstack/store"
)

// These tests run what the page of package objectstore says of a million ids, and take
// the figures from that page. They run some 10,000 ids of the million, or
// with SNAPSTACK_SOAK all where that takes minutes and no more.

const million = 1_000_000

// page is the section of the package's page, without comment signs.
func page(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(source), "\n// # Scale\n")
	if !found {
		t.Fatal("the page has no section Scale")
	}
	return strings.NewReplacer("\n//\t", "\n", "\n// ", "\n", "\n//", "\n").Replace(section)
}

// rows returns the numbers in the table of the page that has the heading.
func rows(t *testing.T, heading string) (table [][]float64) {
	t.Helper()
	_, rest, found := strings.Cut(page(t), heading+"\n")
	if !found {
		t.Fatalf("the page has no table %q", heading)
	}
	for line := range strings.Lines(rest) {
		var row []float64
		for field := range strings.FieldsSeq(strings.NewReplacer(",", "", "$", "", " s ", " ").Replace(line)) {
			number, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatalf("%q in the table %q: %v", field, heading, err)
			}
			row = append(row, number)
		}
		if len(row) == 0 {
			return table
		}
		table = append(table, row)
	}
	return table
}

// wantSaid checks that the page says so, wherever its lines end.
func wantSaid(t *testing.T, format string, figures ...any) {
	t.Helper()
	sentence := fmt.Sprintf(format, figures...)
	if text := regexp.MustCompile(`\s+`).ReplaceAllString(page(t), " "); !strings.Contains(text, sentence) {
		t.Errorf("the page does not say %q", sentence)
	}
}

// A storm is what happens to some of the million ids.
type storm struct {
	atOnce  int
	ids     int // of which a quarter comes first and is not measured, as what an idle partition answers at once
	perform func(ctx context.Context, id string) error
	counts  func() simulate.Counts
}

// run returns how long the storm would take for the million, and its price.
func (s storm) run(t *testing.T) (seconds, dollars float64) {
	t.Helper()
	var next atomic.Int64
	until := func(last int) {
		var wg sync.WaitGroup
		for range s.atOnce {
			wg.Go(func() {
				for i := next.Add(1); i <= int64(last); i = next.Add(1) {
					if err := s.perform(t.Context(), idOf(int(i-1), s.ids)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		next.Store(int64(last))
	}
	until(s.ids / 4)
	start, before := time.Now(), simulate.S3Prices().Requests(s.counts())
	until(s.ids)
	scale := million / float64(s.ids-s.ids/4)
	return time.Since(start).Seconds() * scale, (simulate.S3Prices().Requests(s.counts()) - before) * scale
}

// idOf returns the id number i of n, in an order that has nothing to do with that of
// their keys.
func idOf(i, n int) string {
	const prime = 7_368_787 // divides no n, so that no number comes twice
	return fmt.Sprintf("order-%07d", int(int64(i)*prime%int64(n))*(million/n))
}

// idsFor returns how many of the million ids stand for all.
func idsFor(partitions int) int {
	if os.Getenv("SNAPSTACK_SOAK") != "" {
		return million
	}
	return 10_000 * partitions
}

// splits are the keys that cut those of the ids into ranges of the same size.
func splits(partitions int) (keys []string) {
	for i := 1; i < partitions; i++ {
		keys = append(keys, fmt.Sprintf("order-%07d/", million/partitions*i))
	}
	return keys
}

// near checks a figure of the page against the simulation.
func near(t *testing.T, what string, page, simulated, tolerance float64) {
	t.Helper()
	t.Logf("%s: %.6g simulated, %.6g in the page", what, simulated, page)
	if math.Abs(page-simulated) > tolerance*simulated+0.005 { // the latter of cents
		t.Errorf("%s: the page says %g, the simulation %g", what, page, simulated)
	}
}

// exact is what a run of some thousand ids may be off: its last round trips are not full.
const exact = 0.015

// filled returns a bucket in which so many of the ids are.
func filled(t *testing.T, ids int) *objectstore.MemoryBucket {
	t.Helper()
	memory := objectstore.NewMemoryBucket()
	s, err := objectstore.New(memory, objectstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range ids {
		if err := s.Save(t.Context(), snapshotOf(fmt.Sprintf("order-%07d", i*(million/ids)), 1)); err != nil {
			t.Fatal(err)
		}
	}
	return memory
}

// onS3 returns a store in a simulated bucket with so many partitions, in which so many of
// the ids are.
func onS3(t *testing.T, partitions, keep, ids int) (*objectstore.Store, *simulate.Bucket) {
	t.Helper()
	opts := simulate.S3()
	opts.Splits = splits(partitions)
	bucket, err := simulate.New(filled(t, ids), opts)
	if err != nil {
		t.Fatal(err)
	}
	s, err := objectstore.New(bucket, objectstore.Options{Keep: keep, OnPruneError: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s, bucket
}

func snapshotOf(id string, nr uint64) store.Snapshot {
	return store.Snapshot{PersistenceID: id, SequenceNr: nr, State: make([]byte, 1024)}
}

func loadFrom(s store.SnapshotStore) func(ctx context.Context, id string) error {
	return func(ctx context.Context, id string) error {
		_, err := s.LoadLatest(ctx, id)
		return err
	}
}

func TestScaleOfLoads(t *testing.T) {
	table := rows(t, "loads at once   partitions      takes   costs")
	if len(table) != 5 {
		t.Fatalf("the table has %d rows; want 5", len(table))
	}
	for _, row := range table {
		atOnce, partitions := int(row[0]), int(row[1])
		synctest.Test(t, func(t *testing.T) {
			ids := idsFor(partitions)
			s, bucket := onS3(t, partitions, 0, ids)
			seconds, dollars := storm{atOnce, ids, loadFrom(s), bucket.Counts}.run(t)
			what := fmt.Sprintf("%d loads at once, %d partitions: ", atOnce, partitions)
			near(t, what+"seconds", row[2], seconds, exact)
			near(t, what+"dollars", row[3], dollars, exact)
			if refused := bucket.Counts().Refused; refused > 0 {
				t.Errorf("%s%d requests refused; want none", what, refused)
			}
		})
	}
}

// uneven is a bucket whose Lists and Gets take up to 20 ms longer. Where all take the same
// time, those that are refused together come again together, and get in each other's way
// more or less than they would.
type uneven struct{ inner objectstore.Bucket }

func (u uneven) Get(ctx context.Context, key string) ([]byte, string, error) {
	time.Sleep(rand.N(20 * time.Millisecond))
	return u.inner.Get(ctx, key)
}

func (u uneven) List(ctx context.Context, prefix, after string, limit int) ([]objectstore.Object, bool, error) {
	time.Sleep(rand.N(20 * time.Millisecond))
	return u.inner.List(ctx, prefix, after, limit)
}

func (u uneven) Put(ctx context.Context, key string, body []byte) error {
	return u.inner.Put(ctx, key, body)
}

func (u uneven) Delete(ctx context.Context, keys []string) error { return u.inner.Delete(ctx, keys) }

func (u uneven) Close() error { return u.inner.Close() }

// Loads in excess are refused, and cost more the more there are.
func TestScaleOfLoadsBeyondTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := idsFor(1)
		opts := simulate.S3()
		opts.List, opts.Get = opts.List/2, opts.Get/2 // and as much on average in uneven
		bucket, err := simulate.New(filled(t, ids), opts)
		if err != nil {
			t.Fatal(err)
		}
		s, err := objectstore.New(uneven{bucket}, objectstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		seconds, dollars := storm{256, ids, func(ctx context.Context, id string) error {
			for {
				if _, err := s.LoadLatest(ctx, id); !errors.Is(err, objectstore.ErrThrottled) {
					return err
				}
			}
		}, bucket.Counts}.run(t)
		wantSaid(t, "256 of them on one partition, each made anew as soon as it is refused, take about %.0f s and cost about $%.0f", 600.0, 12.0)
		near(t, "256 loads at once: seconds", 600, seconds, 0.06) // by chance
		near(t, "256 loads at once: dollars", 12, dollars, 0.06)
	})
}

// With the limit that a store.Limit has by default, nothing is refused, however many
// load.
func TestScaleOfLoadsUnderALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ids = 20_000
		s, bucket := onS3(t, 1, 0, ids)
		limited, err := store.NewLimit(s, store.LimitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantSaid(t, "[store.NewLimit] keeps loads from that, by default at 64")
		seconds, _ := storm{2000, ids, loadFrom(limited), bucket.Counts}.run(t)
		near(t, "2000 loads at once, limited to 64: seconds", rows(t, "loads at once   partitions      takes   costs")[2][2], seconds, exact)
		if counts := bucket.Counts(); counts.Refused > 0 {
			t.Errorf("%d requests refused; want none", counts.Refused)
		}
	})
}

func TestScaleOfBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4
		ids := idsFor(n)
		var stores []store.SnapshotStore
		var buckets []*simulate.Bucket
		for range n {
			s, bucket := onS3(t, 1, 0, ids) // all ids in each, though only some are loaded from there
			limited, err := store.NewLimit(s, store.LimitOptions{Loads: 110})
			if err != nil {
				t.Fatal(err)
			}
			stores, buckets = append(stores, limited), append(buckets, bucket)
		}
		routed, err := store.NewRouteFunc(stores, func(id string) int {
			h := fnv.New32a()
			_, _ = h.Write([]byte(id)) // never fails, says package hash
			return int(h.Sum32() % n)
		})
		if err != nil {
			t.Fatal(err)
		}
		counts := func() (all simulate.Counts) {
			for _, b := range buckets {
				all.Lists += b.Counts().Lists
				all.Gets += b.Counts().Gets
			}
			return all
		}
		seconds, dollars := storm{2000, ids, loadFrom(routed), counts}.run(t)
		wantSaid(t, "four buckets with 110 loads at once each take %d s", 91)
		near(t, "four buckets: seconds", 91, seconds, 3*exact) // a hash does not spread them evenly
		near(t, "four buckets: dollars", 5.40, dollars, exact)
	})
}

// manySaves is how many ids are saved at most: a MemoryBucket takes longer for each the
// more it has.
const manySaves = 100_000

func TestScaleOfSaves(t *testing.T) {
	table := rows(t, "saves at once   Keep   takes    costs")
	if len(table) != 2 {
		t.Fatalf("the table has %d rows; want 2", len(table))
	}
	for _, row := range table {
		atOnce, keep := int(row[0]), int(row[1])
		synctest.Test(t, func(t *testing.T) {
			ids := min(idsFor(1), manySaves)
			s, bucket := onS3(t, 1, keep, ids)
			seconds, dollars := storm{atOnce, ids, func(ctx context.Context, id string) error {
				return s.Save(ctx, snapshotOf(id, 2))
			}, bucket.Counts}.run(t)
			what := fmt.Sprintf("%d saves at once, Keep %d: ", atOnce, keep)
			near(t, what+"seconds", row[2], seconds, exact)
			near(t, what+"dollars", row[3], dollars, exact)
			if keep != 1 {
				return
			}
			stored, err := bucket.StoredBytes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantSaid(t, "to store them costs $%.2f a month", simulate.S3Prices().Month(stored*million/int64(ids)))
		})
	}
}

// Whatever rises is saved in the last partition.
func TestScaleOfSavesOfRisingIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := idsFor(1)
		s, bucket := onS3(t, 4, 0, 0)
		var next atomic.Int64
		seconds, _ := storm{70, ids, func(ctx context.Context, _ string) error {
			return s.Save(ctx, snapshotOf(fmt.Sprintf("order-%07d", million+next.Add(1)), 1))
		}, bucket.Counts}.run(t)
		wantSaid(t, "a million of them take %d s, however many partitions there are", 286)
		near(t, "rising ids: seconds", 286, seconds, exact)
	})
}
