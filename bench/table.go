package main

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/dustin/go-humanize"
	pretty "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/snapstack/snapstack/bench/workload"
)

// notes explain the columns of the table.
const notes = `
ratio    operations per second against those of stack 1 in the same rounds: the median of
         the rounds, and how far one was from it at most; ~ where that is no difference
hits     loads that the outermost cache answered
backend  loads that reached it, also as a share of all loads, and bytes read and written there
stored   bytes that the backend holds for the bytes of state it was given
stale    reads older than what had been saved before they began; wrong: other bytes than saved
`

// none stands where a stack has no such value.
const none = "-"

// describe returns what was run.
func describe(cfg config) string {
	least, most, all := math.MaxInt, 0, 0
	for _, state := range cfg.opts.States {
		least, most, all = min(least, len(state)), max(most, len(state)), all+len(state)
	}
	kind := "states"
	if len(cfg.states) == 0 {
		kind = "generated states"
	}
	return fmt.Sprintf("%d %s of %s to %s, %s in all; %d entities, %.4g%% loads, %d at a time, %v for each stack, seed %d; %s on %d CPUs\n\n",
		len(cfg.opts.States), kind, size(int64(least)), size(int64(most)), size(int64(all)),
		cfg.opts.IDs, 100*max(0, cfg.opts.Reads), cfg.opts.Concurrency, cfg.opts.Duration, cfg.opts.Seed,
		runtime.Version(), runtime.GOMAXPROCS(0))
}

// legend returns the stacks with the numbers that stand for them in the table.
func legend(results []workload.Result, temp string) string {
	var b strings.Builder
	for i, r := range results {
		fmt.Fprintf(&b, "%3d  %s\n", i+1, r.Name)
	}
	if temp != "" {
		fmt.Fprintf(&b, "     TEMP was %s\n", temp)
	}
	return b.String() + "\n"
}

// table returns the results as a table of up to 130 columns, a row for each
// stack.
func table(results []workload.Result) string {
	t := pretty.NewWriter()
	style := pretty.StyleLight
	style.Options.DrawBorder = false
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(pretty.Row{"", "", "", "load", "load", "save", "save", "cache", "backend", "backend", "backend", "backend", "", "reads", "reads"},
		pretty.RowConfig{AutoMerge: true})
	head := pretty.Row{"#", "ops/s", "ratio", "p50", "p99", "p50", "p99", "hits", "loads", "of all", "read", "written", "stored", "stale", "wrong"}
	t.AppendHeader(head)
	var right []pretty.ColumnConfig
	for i := range head {
		right = append(right, pretty.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	t.SuppressTrailingSpaces()
	for i := range results {
		t.AppendRow(row(i+1, &results[i], &results[0]))
	}
	return t.Render() + "\n"
}

// row returns the values of one stack.
func row(number int, r, first *workload.Result) pretty.Row {
	values := pretty.Row{strconv.Itoa(number)}
	if r.Elapsed == 0 {
		for len(values) < 13 {
			values = append(values, none)
		}
		return append(values, humanize.Comma(r.Stale), humanize.Comma(r.Wrong))
	}
	values = append(values, number3(r.OpsPerSecond()), ratio(r, first),
		latency(r.Loads, 50), latency(r.Loads, 99), latency(r.Saves, 50), latency(r.Saves, 99))

	hits := none
	if r.Cache != nil {
		hits = percent(r.Cache.Hits, r.Cache.Hits+r.Cache.Misses)
	}
	values = append(values, hits)

	loads, share, read, written := none, none, none, none
	if r.Backend != nil {
		loads = humanize.Comma(r.Backend.Loads())
		share = percent(r.Backend.Loads(), r.Loads.TotalCount())
		read, written = size(r.Backend.LoadedBytes), size(r.Backend.SavedBytes)
	}
	values = append(values, loads, share, read, written)

	stored := none
	if r.Stored != nil {
		stored = percent(r.Stored.StoredBytes, r.Stored.StateBytes)
	}
	return append(values, stored, humanize.Comma(r.Stale), humanize.Comma(r.Wrong))
}

// latency returns a percentile with three digits, as "12.3µs"; none where nothing
// was recorded.
func latency(h *hdrhistogram.Histogram, percentile float64) string {
	if h.TotalCount() == 0 {
		return none
	}
	ns := h.ValueAtPercentile(percentile)
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"s", time.Second}, {"ms", time.Millisecond}, {"µs", time.Microsecond}} {
		if ns >= int64(unit.size) {
			return digits3(float64(ns)/float64(unit.size)) + unit.name
		}
	}
	return strconv.FormatInt(ns, 10) + "ns"
}

// percent returns part of all; none where all is nothing.
func percent(part, all int64) string {
	if all == 0 {
		return none
	}
	return digits3(100*float64(part)/float64(all)) + "%"
}

// ratio compares the stack with the first one.
func ratio(r, first *workload.Result) string {
	ratio, spread, ok := r.Against(first)
	within := fmt.Sprintf("±%.0f%%", math.Ceil(100*spread/ratio))
	switch {
	case !ok:
		return none
	case r == first:
		return digits3(1)
	case math.Abs(ratio-1) <= spread:
		return "~ " + within
	}
	return digits3(ratio) + " " + within
}

// number3 returns a number that is most often large.
func number3(x float64) string {
	if x < 100 {
		return digits3(x)
	}
	return humanize.Comma(int64(math.Round(x)))
}

// digits3 returns x, which is not negative, with three digits, or all of its whole
// ones where it has more.
func digits3(x float64) string {
	switch {
	case x < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
}

// size returns a number of bytes, as "1.2 MiB", without the space.
func size(n int64) string { return strings.ReplaceAll(humanize.IBytes(uint64(n)), " ", "") }
