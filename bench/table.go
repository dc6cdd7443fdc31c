package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	pretty "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/snapstack/snapstack/bench/run"
)

// notes explain the columns of the tables.
const notes = `
ratio    operations per second against those of stack 1 in the same rounds: the median of
         the rounds, and how far one was from it at most; ~ where that is no difference
hits     loads that the outermost cache answered
backend  loads that reached it, also as a share of all loads, and bytes read and written there
stored   bytes that the backend holds for the bytes of state it was given
stale    reads older than what had been saved before they began; wrong: other bytes than saved
cpu      processor time, allocations and bytes allocated are for each operation, with bench's own;
         heap is the most by which the memory of Go grew because of the stack
`

// none stands where a stack has no such value.
const none = "-"

// describe returns what was run.
func describe(r run.Run) string {
	w := r.Workload
	kind := "states"
	if w.States.Generated {
		kind = "generated states"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Scenario %s: %s.\n", w.Scenario, w.Meaning)
	sizes := size(w.States.MinBytes)
	if most := size(w.States.MaxBytes); most != sizes {
		sizes += " to " + most
	}
	fmt.Fprintf(&b, "%d %s of %s, %s in all; %s entities, ", w.States.Count, kind, sizes, size(w.States.Bytes), humanize.Comma(int64(w.IDs)))
	if w.Scenario != "recovery" && w.Scenario != "steady" {
		fmt.Fprintf(&b, "%.4g%% loads, ", 100*w.Reads)
	}
	if w.Change > 0 {
		fmt.Fprintf(&b, "%.4g%% of a state changed each time, ", 100*w.Change)
	}
	if w.Rate > 0 {
		due := "operations"
		if w.Scenario == "steady" {
			due = "wakes"
		}
		fmt.Fprintf(&b, "%s %s due a second, %d at a time at most, ", number3(w.Rate), due, w.Concurrency)
	} else {
		fmt.Fprintf(&b, "%d at a time, ", w.Concurrency)
	}
	if w.Scenario == "recovery" {
		fmt.Fprintf(&b, "%d times for each stack, ", w.Rounds)
	} else {
		fmt.Fprintf(&b, "%s for each stack, ", seconds(w.DurationSeconds))
	}
	if w.LoadDelaySeconds > 0 || w.SaveDelaySeconds > 0 {
		fmt.Fprintf(&b, "loads of the backend %s later and saves %s, ", seconds(w.LoadDelaySeconds), seconds(w.SaveDelaySeconds))
	}
	fmt.Fprintf(&b, "seed %d; %s on %d CPUs.\n\n", w.Seed, r.Machine.Go, r.Machine.CPUs)
	return b.String()
}

// legend returns the stacks with the numbers that stand for them in the tables.
func legend(r run.Run, temp string) string {
	var b strings.Builder
	for i, s := range r.Stacks {
		fmt.Fprintf(&b, "%3d  %s\n", i+1, s.Text)
	}
	if temp != "" {
		fmt.Fprintf(&b, "     TEMP was %s\n", temp)
	}
	return b.String() + "\n"
}

// table returns what the stacks did, as a table of up to 130 columns with a row for
// each.
func table(r run.Run) string {
	t := newTable(
		pretty.Row{"", "", "", "load", "load", "save", "save", "cache", "backend", "backend", "backend", "backend", "", "reads", "reads"},
		pretty.Row{"#", "ratio", "ops/s", "p50", "p99", "p50", "p99", "hits", "loads", "of all", "read", "written", "stored", "stale", "wrong"})
	for i, s := range r.Stacks {
		t.AppendRow(row(i+1, s))
	}
	return t.Render() + "\n"
}

// costs returns what the stacks took to do it, as a table. Columns that apply to none of
// them are left out.
func costs(r run.Run) string {
	head1 := pretty.Row{"", "per operation", "per operation", "per operation", "", ""}
	head2 := pretty.Row{"#", "cpu", "allocs", "bytes", "heap", "errors"}
	shared, commits, requests := false, false, false
	for _, s := range r.Stacks {
		shared = shared || sharedOf(s) != nil
		commits = commits || commitsOf(s) != nil
		requests = requests || s.Requests != nil
	}
	if shared {
		head1, head2 = append(head1, ""), append(head2, "shared")
	}
	if commits {
		head1, head2 = append(head1, ""), append(head2, "commits")
	}
	if requests {
		for _, name := range []string{"LIST", "GET", "PUT", "DELETE", "$ a million ops"} {
			head1, head2 = append(head1, "requests"), append(head2, name)
		}
	}
	t := newTable(head1, head2)
	for i, s := range r.Stacks {
		row := pretty.Row{strconv.Itoa(i + 1), none, none, none, none, humanize.Comma(s.Errors)}
		operations := float64(s.Loads.Count + s.Saves.Count)
		if operations > 0 {
			row[2], row[3], row[4] = number3(s.Allocs), size(int64(s.AllocBytes)), size(s.PeakBytes)
			if s.CPUSeconds > 0 {
				row[1] = latency(s.CPUSeconds / operations)
			}
		}
		if shared {
			row = append(row, optional(sharedOf(s)))
		}
		if commits {
			row = append(row, optional(commitsOf(s)))
		}
		if q := s.Requests; requests && q != nil {
			row = append(row, humanize.Comma(q.List), humanize.Comma(q.Get), humanize.Comma(q.Put), humanize.Comma(q.Delete), digits3(q.Dollars))
		} else if requests {
			row = append(row, none, none, none, none, none)
		}
		t.AppendRow(row)
	}
	text := t.Render() + "\n"
	if requests {
		text += fmt.Sprintf("requests cost, by %s: $%g a thousand LIST and PUT, $%g a thousand GET, $%g a GB and month stored\n",
			r.Prices.Name, r.Prices.Put, r.Prices.Get, r.Prices.Storage)
	}
	return text
}

// changed returns what became of the stacks since an earlier run, as a table.
func changed(old run.Run, changes []run.Change) string {
	t := newTable(
		pretty.Row{"", "ops/s", "ops/s", "ops/s", "load p99", "load p99", "save p99", "save p99"},
		pretty.Row{"stack", "now to then", "then", "now", "then", "now", "then", "now"})
	for _, c := range changes {
		ratio := none
		if c.Ok {
			within := fmt.Sprintf("±%.0f%%", math.Ceil(100*c.Noise))
			ratio = "~ " + within
			if c.Differs() {
				ratio = digits3(c.Ratio) + " " + within
			}
		}
		t.AppendRow(pretty.Row{c.Text, ratio, number3(c.Old.OpsPerSecond), number3(c.New.OpsPerSecond),
			percentile(c.Old.Loads, c.Old.Loads.P99), percentile(c.New.Loads, c.New.Loads.P99),
			percentile(c.Old.Saves, c.Old.Saves.P99), percentile(c.New.Saves, c.New.Saves.P99)})
	}
	return fmt.Sprintf("Since %s, ~ being no difference beyond what rounds differ by:\n\n%s\n", old.Started.Local().Format(time.DateTime), t.Render())
}

// newTable returns a table with two lines of heads, of which equal neighbours of the
// first are merged.
func newTable(groups, heads pretty.Row) pretty.Writer {
	t := pretty.NewWriter()
	style := pretty.StyleLight
	style.Options.DrawBorder = false
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(groups, pretty.RowConfig{AutoMerge: true})
	t.AppendHeader(heads)
	var columns []pretty.ColumnConfig
	for i := range heads {
		columns = append(columns, pretty.ColumnConfig{Number: i + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	t.SuppressTrailingSpaces()
	return t
}

// row returns the values of one stack.
func row(number int, s run.Stack) pretty.Row {
	values := pretty.Row{strconv.Itoa(number)}
	if len(s.Rounds) == 0 {
		for len(values) < 13 {
			values = append(values, none)
		}
		return append(values, humanize.Comma(s.Stale), humanize.Comma(s.Wrong))
	}
	values = append(values, ratio(number, s), number3(s.OpsPerSecond),
		percentile(s.Loads, s.Loads.P50), percentile(s.Loads, s.Loads.P99),
		percentile(s.Saves, s.Saves.P50), percentile(s.Saves, s.Saves.P99))

	hits := none
	for _, l := range s.Layers {
		if l.Hits != nil {
			hits = percent(*l.Hits, l.Loads)
			break
		}
	}
	values = append(values, hits)

	loads, share, read, written := none, none, none, none
	if backend, ok := backendOf(s); ok {
		loads = humanize.Comma(backend.Loads)
		share = percent(backend.Loads, s.Loads.Count)
		read, written = size(backend.LoadBytes), size(backend.SaveBytes)
	}
	values = append(values, loads, share, read, written)

	stored := none
	if s.StoredBytes != nil && s.StateBytes != nil {
		stored = percent(*s.StoredBytes, *s.StateBytes)
	}
	return append(values, stored, humanize.Comma(s.Stale), humanize.Comma(s.Wrong))
}

// percentile returns a percentile of latencies; none where there were none.
func percentile(of run.Latency, at float64) string {
	if of.Count == 0 {
		return none
	}
	return latency(at)
}

// latency returns seconds with three digits, as "12.3µs".
func latency(seconds float64) string {
	for _, unit := range []struct {
		name string
		size float64
	}{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}} {
		if seconds >= unit.size*0.99999 {
			return digits3(seconds/unit.size) + unit.name
		}
	}
	return strconv.FormatFloat(1e9*seconds, 'f', 0, 64) + "ns"
}

// seconds returns a number of them as Go writes durations.
func seconds(n float64) string { return time.Duration(math.Round(n * float64(time.Second))).String() }

// percent returns part of all; none where all is nothing.
func percent(part, all int64) string {
	if all == 0 {
		return none
	}
	return digits3(100*float64(part)/float64(all)) + "%"
}

// optional returns a count; none where there is none.
func optional(n *int64) string {
	if n == nil {
		return none
	}
	return humanize.Comma(*n)
}

// ratio compares the stack of that number with the first one.
func ratio(number int, s run.Stack) string {
	against, ok := s.Against()
	if !ok {
		return none
	}
	within := fmt.Sprintf("±%.0f%%", math.Ceil(100*against.Spread))
	switch {
	case number == 1:
		return digits3(1)
	case !against.Differs():
		return "~ " + within
	}
	return digits3(against.Median) + " " + within
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
func size(n int64) string { return strings.ReplaceAll(humanize.IBytes(uint64(max(n, 0))), " ", "") }
