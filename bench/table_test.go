package main

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/store/storetest"
)

// latencies returns a histogram in which 98 of 100 values are low and two are high.
func latencies(t *testing.T, low, high time.Duration, hundreds int64) *hdrhistogram.Histogram {
	t.Helper()
	h := hdrhistogram.New(1, int64(time.Hour), 3)
	if err := errors.Join(h.RecordValues(int64(low), 98*hundreds), h.RecordValues(int64(high), 2*hundreds)); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTable(t *testing.T) {
	empty := latencies(t, time.Nanosecond, time.Nanosecond, 0)
	got := table([]workload.Result{
		{
			Name: "bare", Elapsed: 2 * time.Second, Rounds: []workload.Round{{Elapsed: time.Second, Operations: 9000}, {Elapsed: time.Second, Operations: 11000}},
			Loads: latencies(t, 100*time.Microsecond, 2*time.Millisecond, 180), Saves: latencies(t, time.Millisecond, 3*time.Second, 20),
			Backend: &storetest.Counts{Saves: 2000, LoadLatests: 18000, LoadedBytes: 3 << 30, SavedBytes: 300 << 20},
			Stored:  &workload.Stored{StoredBytes: 1000, StateBytes: 1000},
		},
		{
			Name: "full", Elapsed: 2 * time.Second, Rounds: []workload.Round{{Elapsed: time.Second, Operations: 945_000}, {Elapsed: time.Second, Operations: 1_045_000}},
			Loads: latencies(t, 700*time.Nanosecond, 15*time.Microsecond, 18000), Saves: latencies(t, 12*time.Millisecond, 123*time.Millisecond, 2000),
			Backend: &storetest.Counts{Saves: 200_000, LoadLatests: 54_000, LoadedBytes: 12345, SavedBytes: 1},
			Cache:   &workload.CacheUse{Hits: 1_746_000, Misses: 54_000},
			Stored:  &workload.Stored{StoredBytes: 231, StateBytes: 1000},
			Stale:   1234, Wrong: 5,
		},
		{Name: "not measured", Loads: empty, Saves: empty, Err: errors.New("boom")},
		{Name: "of the user's own", Elapsed: time.Second, Rounds: []workload.Round{{Elapsed: time.Second, Operations: 8500}, {Elapsed: time.Second, Operations: 11500}}, Loads: empty, Saves: latencies(t, 5*time.Second, 5*time.Second, 1)},
	})
	const want = `
                         │      load      │      save      │ cache │               backend              │        │     reads
 # │     ops/s │   ratio │   p50 │    p99 │    p50 │   p99 │  hits │  loads │ of all │   read │ written │ stored │ stale │ wrong
───┼───────────┼─────────┼───────┼────────┼────────┼───────┼───────┼────────┼────────┼────────┼─────────┼────────┼───────┼───────
 1 │    10,000 │    1.00 │ 100µs │ 2.00ms │ 1.00ms │ 3.00s │     - │ 18,000 │   100% │ 3.0GiB │  300MiB │   100% │     0 │     0
 2 │ 1,000,000 │ 100 ±5% │ 700ns │ 15.0µs │ 12.0ms │ 123ms │ 97.0% │ 54,000 │  3.00% │  12KiB │      1B │  23.1% │ 1,234 │     5
 3 │         - │       - │     - │      - │      - │     - │     - │      - │      - │      - │       - │      - │     0 │     0
 4 │       100 │   ~ ±6% │     - │      - │  5.00s │ 5.00s │     - │      - │      - │      - │       - │      - │     0 │     0
`
	if "\n"+got != want {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 130 {
			t.Errorf("a line of %d columns; want 130 at most", n)
		}
	}
}

func TestDigits3(t *testing.T) {
	for x, want := range map[float64]string{0: "0.00", 0.014: "0.01", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 1234.5: "1234"} {
		if got := digits3(x); got != want {
			t.Errorf("digits3(%v) = %s; want %s", x, got, want)
		}
	}
}
