package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/snapstack/snapstack/bench/run"
)

func pointer[T any](x T) *T { return &x }

func TestTables(t *testing.T) {
	rounds := func(perSecond ...float64) []run.Round {
		var all []run.Round
		for _, n := range perSecond {
			all = append(all, run.Round{Seconds: 1, OpsPerSecond: n})
		}
		return all
	}
	r := run.Run{Prices: run.Prices{Name: "a list", Put: 0.005, Get: 0.0004, Storage: 0.023}, Stacks: []run.Stack{
		{
			Text: "bare", OpsPerSecond: 10_000, Ratio: pointer(1.0), Spread: pointer(0.0), Rounds: rounds(9000, 11000),
			Loads: run.Latency{Count: 18000, P50: 100e-6, P99: 2e-3}, Saves: run.Latency{Count: 2000, P50: 1e-3, P99: 3},
			Layers:      []run.Layer{{Name: "sqlite", Loads: 18000, Saves: 2000, LoadBytes: 3 << 30, SaveBytes: 300 << 20, Commits: pointer(int64(1500))}},
			StoredBytes: pointer(int64(1000)), StateBytes: pointer(int64(1000)),
			CPUSeconds: 2, Allocs: 12.34, AllocBytes: 5 << 10, PeakBytes: 3 << 20,
		},
		{
			Text: "full", OpsPerSecond: 1e6, Ratio: pointer(100.0), Spread: pointer(0.05), Rounds: rounds(945_000, 1_045_000),
			Loads: run.Latency{Count: 1_800_000, P50: 700e-9, P99: 15e-6}, Saves: run.Latency{Count: 200_000, P50: 12e-3, P99: 123e-3},
			Layers: []run.Layer{
				{Name: "cache", Loads: 1_800_000, Hits: pointer(int64(1_746_000))},
				{Name: "singleflight", Loads: 54_000, Shared: pointer(int64(1000))},
				{Name: "objectstore", Loads: 53_000, Saves: 200_000, LoadBytes: 12345, SaveBytes: 1},
			},
			StoredBytes: pointer(int64(231)), StateBytes: pointer(int64(1000)), Requests: &run.Requests{List: 53_000, Get: 53_000, Put: 200_000, Delete: 1, Dollars: 0.6431},
			Allocs: 1.5, AllocBytes: 100, PeakBytes: 0,
			Stale: 1234, Wrong: 5, Errors: 7,
		},
		{Text: "not measured"},
		{Text: "of the user's own", OpsPerSecond: 100, Ratio: pointer(1.01), Spread: pointer(0.06), Rounds: rounds(8500, 11500), Saves: run.Latency{Count: 1, P50: 5, P99: 5}},
	}}
	got := table(r) + "\n" + costs(r)
	const want = `
                         │      load      │      save      │ cache │               backend              │        │     reads
 # │   ratio │     ops/s │   p50 │    p99 │    p50 │   p99 │  hits │  loads │ of all │   read │ written │ stored │ stale │ wrong
───┼─────────┼───────────┼───────┼────────┼────────┼───────┼───────┼────────┼────────┼────────┼─────────┼────────┼───────┼───────
 1 │    1.00 │    10,000 │ 100µs │ 2.00ms │ 1.00ms │ 3.00s │     - │ 18,000 │   100% │ 3.0GiB │  300MiB │   100% │     0 │     0
 2 │ 100 ±5% │ 1,000,000 │ 700ns │ 15.0µs │ 12.0ms │ 123ms │ 97.0% │ 53,000 │  2.94% │  12KiB │      1B │  23.1% │ 1,234 │     5
 3 │       - │         - │     - │      - │      - │     - │     - │      - │      - │      - │       - │      - │     0 │     0
 4 │   ~ ±6% │       100 │     - │      - │  5.00s │ 5.00s │     - │      - │      - │      - │       - │      - │     0 │     0

   │      per operation      │                                    │                       requests
 # │   cpu │ allocs │  bytes │   heap │ errors │ shared │ commits │   LIST │    GET │     PUT │ DELETE │ $ a million ops
───┼───────┼────────┼────────┼────────┼────────┼────────┼─────────┼────────┼────────┼─────────┼────────┼─────────────────
 1 │ 100µs │   12.3 │ 5.0KiB │ 3.0MiB │      0 │      - │   1,500 │      - │      - │       - │      - │               -
 2 │     - │   1.50 │   100B │     0B │      7 │  1,000 │       - │ 53,000 │ 53,000 │ 200,000 │      1 │            0.64
 3 │     - │      - │      - │      - │      0 │      - │       - │      - │      - │       - │      - │               -
 4 │     - │   0.00 │     0B │     0B │      0 │      - │       - │      - │      - │       - │      - │               -
requests cost, by a list: $0.005 a thousand LIST and PUT, $0.0004 a thousand GET, $0.023 a GB and month stored
`
	if "\n"+got != want {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 132 {
			t.Errorf("a line of %d columns; want 132 at most", n)
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
