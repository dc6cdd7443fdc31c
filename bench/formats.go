package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/store/storetest"
)

// A report is what -json prints.
type report struct {
	Go          string        `json:"go"`
	CPUs        int           `json:"cpus"`
	States      int           `json:"states"`
	StateBytes  int64         `json:"state_bytes"`
	IDs         int           `json:"ids"`
	Reads       float64       `json:"reads"`
	Concurrency int           `json:"concurrency"`
	Seconds     float64       `json:"seconds"` // asked for, of each stack
	Seed        uint64        `json:"seed"`
	Stacks      []stackReport `json:"stacks"`
}

// A stackReport is what was measured of one stack. Durations are in seconds. What does
// not apply to a stack is null.
type stackReport struct {
	Stack        string             `json:"stack"`
	OpsPerSecond float64            `json:"ops_per_second"`
	Ratio        *float64           `json:"ratio"`  // to the first stack: the median of the rounds
	Spread       *float64           `json:"spread"` // how far a round was from it at most
	Rounds       []float64          `json:"rounds"` // operations per second of each
	Loads        latencyReport      `json:"loads"`
	Saves        latencyReport      `json:"saves"`
	Cache        *workload.CacheUse `json:"cache"`
	Backend      *storetest.Counts  `json:"backend"`
	Stored       *workload.Stored   `json:"stored"`
	Stale        int64              `json:"stale"`
	Wrong        int64              `json:"wrong"`
	Errors       int64              `json:"errors"`
	Problems     []string           `json:"problems"`
}

type latencyReport struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
}

func newReport(cfg config, results []workload.Result) report {
	r := report{
		Go: runtime.Version(), CPUs: runtime.GOMAXPROCS(0), States: len(cfg.opts.States), IDs: cfg.opts.IDs,
		Reads: max(0, cfg.opts.Reads), Concurrency: cfg.opts.Concurrency, Seconds: cfg.opts.Duration.Seconds(), Seed: cfg.opts.Seed,
	}
	for _, state := range cfg.opts.States {
		r.StateBytes += int64(len(state))
	}
	for i := range results {
		r.Stacks = append(r.Stacks, newStackReport(&results[i], &results[0]))
	}
	return r
}

func newStackReport(r, first *workload.Result) stackReport {
	s := stackReport{
		Stack: r.Name, OpsPerSecond: r.OpsPerSecond(), Rounds: []float64{},
		Loads: newLatencyReport(r.Loads), Saves: newLatencyReport(r.Saves),
		Cache: r.Cache, Backend: r.Backend, Stored: r.Stored,
		Stale: r.Stale, Wrong: r.Wrong, Errors: r.Errors, Problems: append([]string{}, problems(r)...),
	}
	for _, round := range r.Rounds {
		s.Rounds = append(s.Rounds, round.OpsPerSecond())
	}
	if ratio, spread, ok := r.Against(first); ok {
		s.Ratio, s.Spread = &ratio, &spread
	}
	return s
}

func newLatencyReport(h *hdrhistogram.Histogram) latencyReport {
	if h.TotalCount() == 0 {
		return latencyReport{}
	}
	at := func(percentile float64) float64 { return float64(h.ValueAtPercentile(percentile)) / 1e9 }
	return latencyReport{
		Count: h.TotalCount(), Mean: h.Mean() / 1e9,
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1e9,
	}
}

// asJSON returns the results as one JSON object.
func asJSON(cfg config, results []workload.Result) (string, error) {
	text, err := json.MarshalIndent(newReport(cfg, results), "", "  ")
	return string(text) + "\n", err
}

// asCSV returns the results as one line for each stack, below one with the names of the
// columns. Durations are in seconds; what does not apply to a stack is empty.
func asCSV(cfg config, results []workload.Result) (string, error) {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	optional := func(x *float64) string {
		if x == nil {
			return ""
		}
		return number(*x)
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	rows := [][]string{{"stack", "ops_per_second", "ratio", "spread",
		"load_count", "load_p50", "load_p90", "load_p99", "load_p99.9", "load_max",
		"save_count", "save_p50", "save_p90", "save_p99", "save_p99.9", "save_max",
		"cache_hits", "cache_misses", "backend_loads", "backend_loaded_bytes", "backend_saved_bytes",
		"stored_bytes", "state_bytes", "stale", "wrong", "errors"}}
	for _, s := range newReport(cfg, results).Stacks {
		row := []string{s.Stack, number(s.OpsPerSecond), optional(s.Ratio), optional(s.Spread)}
		for _, l := range []latencyReport{s.Loads, s.Saves} {
			row = append(row, fmt.Sprint(l.Count))
			for _, x := range []float64{l.P50, l.P90, l.P99, l.P999, l.Max} {
				row = append(row, number(x))
			}
		}
		cache, backend, stored := []string{"", ""}, []string{"", "", ""}, []string{"", ""}
		if s.Cache != nil {
			cache = []string{fmt.Sprint(s.Cache.Hits), fmt.Sprint(s.Cache.Misses)}
		}
		if s.Backend != nil {
			backend = []string{fmt.Sprint(s.Backend.Loads()), fmt.Sprint(s.Backend.LoadedBytes), fmt.Sprint(s.Backend.SavedBytes)}
		}
		if s.Stored != nil {
			stored = []string{fmt.Sprint(s.Stored.StoredBytes), fmt.Sprint(s.Stored.StateBytes)}
		}
		row = append(append(append(row, cache...), backend...), stored...)
		rows = append(rows, append(row, fmt.Sprint(s.Stale), fmt.Sprint(s.Wrong), fmt.Sprint(s.Errors)))
	}
	err := w.WriteAll(rows)
	return b.String(), err
}

// asGoBench returns the results in the format of go test -bench, a line for each round,
// so that benchstat tells differences from noise: benchstat -col /stack FILE
// (https://go.dev/design/14313-benchmark-format).
func asGoBench(_ config, results []workload.Result) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/snapstack/snapstack/bench\n", runtime.GOOS, runtime.GOARCH)
	for i := range results {
		r := &results[i]
		// Names hold no space, and a slash begins a key of its own.
		name := strings.ReplaceAll(strings.Join(strings.Fields(r.Name), ""), "/", "_")
		for _, round := range r.Rounds {
			if round.Operations > 0 {
				fmt.Fprintf(&b, "BenchmarkOperation/stack=%s %d %.1f ns/op\n", name, round.Operations, float64(round.Elapsed.Nanoseconds())/float64(round.Operations))
			}
		}
		for _, l := range []struct {
			op string
			h  *hdrhistogram.Histogram
		}{{"Load", r.Loads}, {"Save", r.Saves}} {
			if l.h.TotalCount() > 0 {
				fmt.Fprintf(&b, "Benchmark%s/stack=%s %d %.1f ns/op %d p50-ns %d p99-ns\n", l.op, name, l.h.TotalCount(), l.h.Mean(), l.h.ValueAtPercentile(50), l.h.ValueAtPercentile(99))
			}
		}
	}
	return b.String(), nil
}
