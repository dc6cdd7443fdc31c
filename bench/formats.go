package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/snapstack/snapstack/bench/run"
)

// asJSON returns the run as one JSON object, as package run describes it.
func asJSON(r run.Run) (string, error) {
	var b bytes.Buffer
	err := run.Write(&b, r)
	return b.String(), err
}

// asCSV returns the stacks as one line each, below one with the names of the columns.
// Durations are in seconds; what does not apply to a stack is empty.
func asCSV(r run.Run) (string, error) {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	optional := func(x *float64) string {
		if x == nil {
			return ""
		}
		return number(*x)
	}
	count := func(x *int64) string {
		if x == nil {
			return ""
		}
		return fmt.Sprint(*x)
	}
	rows := [][]string{{"stack", "ops_per_second", "ratio", "spread",
		"load_count", "load_p50", "load_p90", "load_p99", "load_p99.9", "load_max",
		"save_count", "save_p50", "save_p90", "save_p99", "save_p99.9", "save_max",
		"cpu_seconds", "allocs_per_op", "alloc_bytes_per_op", "peak_bytes",
		"cache_hits", "shared_loads", "commits", "backend_loads", "backend_loaded_bytes", "backend_saves", "backend_saved_bytes",
		"lists", "gets", "puts", "deletes", "dollars_per_million",
		"stored_bytes", "state_bytes", "stale", "wrong", "errors"}}
	for _, s := range r.Stacks {
		row := []string{s.Text, number(s.OpsPerSecond), optional(s.Ratio), optional(s.Spread)}
		for _, l := range []run.Latency{s.Loads, s.Saves} {
			row = append(row, fmt.Sprint(l.Count))
			for _, x := range []float64{l.P50, l.P90, l.P99, l.P999, l.Max} {
				row = append(row, number(x))
			}
		}
		row = append(row, number(s.CPUSeconds), number(s.Allocs), number(s.AllocBytes), fmt.Sprint(s.PeakBytes))
		row = append(row, count(hitsOf(s)), count(sharedOf(s)), count(commitsOf(s)))
		if backend, ok := backendOf(s); ok {
			row = append(row, fmt.Sprint(backend.Loads), fmt.Sprint(backend.LoadBytes), fmt.Sprint(backend.Saves), fmt.Sprint(backend.SaveBytes))
		} else {
			row = append(row, "", "", "", "")
		}
		if q := s.Requests; q != nil {
			row = append(row, fmt.Sprint(q.List), fmt.Sprint(q.Get), fmt.Sprint(q.Put), fmt.Sprint(q.Delete), number(q.Dollars))
		} else {
			row = append(row, "", "", "", "", "")
		}
		row = append(row, count(s.StoredBytes), count(s.StateBytes))
		rows = append(rows, append(row, fmt.Sprint(s.Stale), fmt.Sprint(s.Wrong), fmt.Sprint(s.Errors)))
	}
	var b strings.Builder
	err := csv.NewWriter(&b).WriteAll(rows)
	return b.String(), err
}

// asGoBench returns the run in the format of go test -bench, a line for each round,
// so that benchstat tells differences from noise: benchstat -col /stack FILE
// (https://go.dev/design/14313-benchmark-format).
func asGoBench(r run.Run) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/snapstack/snapstack/bench\n", runtime.GOOS, runtime.GOARCH)
	for _, s := range r.Stacks {
		// Names hold no space, and a slash begins a key of its own.
		name := strings.ReplaceAll(strings.Join(strings.Fields(s.Text), ""), "/", "_")
		for _, round := range s.Rounds {
			if round.OpsPerSecond > 0 {
				fmt.Fprintf(&b, "BenchmarkOperation/stack=%s %.0f %.1f ns/op\n", name, round.OpsPerSecond*round.Seconds, 1e9/round.OpsPerSecond)
			}
		}
		for _, l := range []struct {
			op      string
			latency run.Latency
		}{{"Load", s.Loads}, {"Save", s.Saves}} {
			if l.latency.Count > 0 {
				fmt.Fprintf(&b, "Benchmark%s/stack=%s %d %.1f ns/op %.0f p50-ns %.0f p99-ns\n",
					l.op, name, l.latency.Count, 1e9*l.latency.Mean, 1e9*l.latency.P50, 1e9*l.latency.P99)
			}
		}
	}
	return b.String(), nil
}

// hitsOf returns the hits of the outermost cache.
func hitsOf(s run.Stack) *int64 {
	for _, l := range s.Layers {
		if l.Hits != nil {
			return l.Hits
		}
	}
	return nil
}

// sharedOf returns the loads that joined another one's in the outermost singleflight.
func sharedOf(s run.Stack) *int64 {
	for _, l := range s.Layers {
		if l.Shared != nil {
			return l.Shared
		}
	}
	return nil
}

// commitsOf returns the commits of the backend.
func commitsOf(s run.Stack) *int64 {
	if backend, ok := backendOf(s); ok {
		return backend.Commits
	}
	return nil
}

// backendOf returns the innermost layer.
func backendOf(s run.Stack) (run.Layer, bool) {
	if len(s.Layers) == 0 {
		return run.Layer{}, false
	}
	return s.Layers[len(s.Layers)-1], true
}
