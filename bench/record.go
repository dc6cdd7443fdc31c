package main

import (
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/snapstack/snapstack/bench/run"
	"github.com/snapstack/snapstack/bench/workload"
)

// newRecord returns the run as data.
func newRecord(cfg config, started time.Time, interrupted bool, results []workload.Result) run.Run {
	r := run.Run{
		Format: run.Format, Started: started.UTC().Truncate(time.Second), Seconds: time.Since(started).Seconds(), Interrupted: interrupted,
		Machine:  run.Machine{Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0)},
		Prices:   cfg.prices,
		Stacks:   []run.Stack{},
		Workload: newWorkload(cfg),
	}
	for i := range results {
		s := newStackRecord(cfg, &results[i])
		if against, ok := results[i].Against(&results[0]); ok {
			s.Ratio, s.Spread = &against.Median, &against.Spread
		}
		r.Stacks = append(r.Stacks, s)
	}
	return r
}

// newWorkload returns what is asked for, as data.
func newWorkload(cfg config) run.Workload {
	o := cfg.opts
	w := run.Workload{
		Scenario: string(o.Scenario), Meaning: o.Scenario.Meaning(),
		IDs: o.IDs, Reads: max(0, o.Reads), Skew: max(0, o.Skew), Change: max(0, o.Change), Concurrency: o.Concurrency, Rate: o.Rate,
		DurationSeconds: o.Duration.Seconds(), WarmupSeconds: cfg.warmup().Seconds(), Rounds: o.Rounds,
		LoadDelaySeconds: cfg.delay.load.Seconds(), SaveDelaySeconds: cfg.delay.save.Seconds(), Seed: o.Seed,
		States: run.States{Generated: len(cfg.states) == 0, Count: len(o.States)},
	}
	for i, state := range o.States {
		n := int64(len(state))
		w.States.Bytes += n
		w.States.MaxBytes = max(w.States.MaxBytes, n)
		if i == 0 || n < w.States.MinBytes {
			w.States.MinBytes = n
		}
	}
	return w
}

func newStackRecord(cfg config, r *workload.Result) run.Stack {
	s := run.Stack{
		Text: r.Name, OpsPerSecond: r.OpsPerSecond(), Rounds: []run.Round{},
		Loads: newLatency(r.Loads), Saves: newLatency(r.Saves), Layers: []run.Layer{}, Timeline: []run.Bin{},
		CPUSeconds: r.CPU.Seconds(), PeakBytes: max(0, r.PeakBytes),
		Stale: r.Stale, Wrong: r.Wrong, Errors: r.Errors, Problems: append([]string{}, problems(r)...),
	}
	for _, round := range r.Rounds {
		s.Rounds = append(s.Rounds, run.Round{Seconds: round.Elapsed.Seconds(), OpsPerSecond: round.OpsPerSecond(), CPUSeconds: round.CPU.Seconds()})
	}
	for _, bin := range r.Timeline {
		s.Timeline = append(s.Timeline, run.Bin{Seconds: bin.End.Seconds(), Round: bin.Round, Operations: bin.Operations, Length: bin.Length.Seconds()})
	}
	texts := layerTexts(cfg, r.Name)
	for i, l := range r.Layers {
		text := l.Name
		if len(texts) == len(r.Layers) {
			text = texts[i]
		}
		s.Layers = append(s.Layers, run.Layer{
			Name: l.Name, Text: text, Loads: l.Loads, Saves: l.Saves, LoadBytes: l.LoadBytes, SaveBytes: l.SaveBytes,
			Hits: l.Hits, Shared: l.Shared, HeldBytes: l.HeldBytes, LimitBytes: l.LimitBytes, Commits: l.Commits,
		})
	}
	operations := float64(r.Loads.TotalCount() + r.Saves.TotalCount())
	if operations > 0 {
		s.Allocs, s.AllocBytes = float64(r.Allocs)/operations, float64(r.AllocBytes)/operations
	}
	if q := r.Requests; q != nil {
		s.Requests = &run.Requests{List: q.Lists, Get: q.Gets, Put: q.Puts, Delete: q.Deletes}
		if operations > 0 {
			dollars := (float64(q.Lists+q.Puts)*cfg.prices.Put + float64(q.Gets)*cfg.prices.Get) / 1000
			s.Requests.Dollars = dollars / operations * 1e6
		}
	}
	if r.Stored != nil {
		s.StoredBytes, s.StateBytes = &r.Stored.StoredBytes, &r.Stored.StateBytes
	}
	return s
}

// layerTexts returns the texts of the layers of the stack that is called name, outermost
// first; nil where it is none of those on the command line.
func layerTexts(cfg config, name string) []string {
	for _, spec := range cfg.stacks {
		if nameOf(spec, cfg.temp) != name {
			continue
		}
		var texts []string
		for _, layer := range spec {
			texts = append(texts, shortened(layer.String(), cfg.temp))
		}
		return texts
	}
	return nil
}

// shortened returns a text in which TEMP stands for temp, which is long, if that is not
// empty.
func shortened(text, temp string) string {
	if temp == "" {
		return text
	}
	return strings.ReplaceAll(text, temp, "TEMP")
}

func newLatency(h *hdrhistogram.Histogram) run.Latency {
	if h.TotalCount() == 0 {
		return run.Latency{Curve: []run.Point{}}
	}
	at := func(percentile float64) float64 { return float64(h.ValueAtPercentile(percentile)) / 1e9 }
	l := run.Latency{
		Count: h.TotalCount(), Mean: h.Mean() / 1e9,
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1e9,
	}
	// Twenty points for each time that the operations which took longer become half as many.
	for _, bracket := range h.CumulativeDistributionWithTicks(20) {
		l.Curve = append(l.Curve, run.Point{Percentile: bracket.Quantile, Seconds: float64(bracket.ValueAt) / 1e9})
	}
	l.Curve = slices.CompactFunc(l.Curve, func(a, b run.Point) bool { return a == b })
	return l
}
