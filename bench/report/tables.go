package report

import (
	"fmt"

	"github.com/snapstack/snapstack/bench/run"
)

// A table has the figures of a plot: a row for each stack, or several.
type table struct {
	Caption string
	Head    []string
	Rows    []row
}

type row struct {
	Stack stackName
	Cells []string
}

func (t *table) add(stack stackName, cells ...string) { t.Rows = append(t.Rows, row{stack, cells}) }

func throughputTable(r run.Run, names []stackName, before before) table {
	t := table{Caption: "Throughput against stack 1", Head: []string{"ops/s", "ratio", "spread", "CPU per op", "allocations per op", "allocated per op", "stale", "wrong", "errors"}}
	t.Head = append(t.Head, before.head("ops/s")...)
	for i, s := range r.Stacks {
		rate, against, within := none, none, none
		if s.OpsPerSecond > 0 {
			rate = amount(s.OpsPerSecond)
		}
		if r, ok := s.Against(); ok {
			against, within = times(r.Median), "± "+spread(r)
		}
		perOperation, ok := cpuOf(s)
		cpu, allocs, allocated := none, none, none
		if ok {
			cpu = duration(perOperation)
		}
		if s.Allocs > 0 {
			allocs, allocated = amount(s.Allocs), size(int64(s.AllocBytes))
		}
		cells := []string{rate, against, within, cpu, allocs, allocated, count(s.Stale), count(s.Wrong), count(s.Errors)}
		t.add(names[i], append(cells, before.cells(i, func(s run.Stack) float64 { return s.OpsPerSecond }, amount, throughputNoise)...)...)
	}
	return t
}

func latencyTable(r run.Run, names []stackName, before before, kind string) table {
	of := func(s run.Stack) run.Latency { return s.Loads }
	if kind == "saves" {
		of = func(s run.Stack) run.Latency { return s.Saves }
	}
	t := table{Caption: "Latency of " + kind, Head: []string{kind, "mean", "p50", "p90", "p99", "p99.9", "slowest"}}
	t.Head = append(append(t.Head, before.head("p50")...), before.head("p99")...)
	for i, s := range r.Stacks {
		l := of(s)
		cells := []string{count(l.Count)}
		for _, seconds := range []float64{l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
			if l.Count == 0 {
				cells = append(cells, none)
			} else {
				cells = append(cells, duration(seconds))
			}
		}
		cells = append(cells, before.cells(i, func(s run.Stack) float64 { return of(s).P50 }, duration, latencyNoise)...)
		cells = append(cells, before.cells(i, func(s run.Stack) float64 { return of(s).P99 }, duration, latencyNoise)...)
		t.add(names[i], cells...)
	}
	return t
}

func roundsTable(r run.Run, names []stackName) table {
	t := table{Caption: "Operations a second of each round"}
	rounds := 0
	for _, s := range r.Stacks {
		rounds = max(rounds, len(s.Rounds))
	}
	for i := range rounds {
		t.Head = append(t.Head, fmt.Sprintf("round %d", i+1))
	}
	for i, s := range r.Stacks {
		var cells []string
		for round := range rounds {
			if round < len(s.Rounds) {
				cells = append(cells, amount(s.Rounds[round].OpsPerSecond))
			} else {
				cells = append(cells, none)
			}
		}
		t.add(names[i], cells...)
	}
	return t
}

func memorySection(r run.Run, names []stackName, before before) scatterSection {
	section := scatterSection{Table: table{Caption: "Memory and hits", Head: []string{"hits", "held by caches", "limit of caches", "peak of the heap"}}}
	section.Table.Head = append(section.Table.Head, before.head("peak")...)
	var pairs []pair
	for i, s := range r.Stacks {
		c := cachesOf(s)
		hits, held, limit := none, none, none
		if c.found {
			hits, held, limit = share(float64(c.hits), float64(c.loads)), size(c.held), size(c.limit)
			if c.loads > 0 && c.held > 0 {
				pairs = append(pairs, pair{names[i], float64(c.held), 100 * float64(c.hits) / float64(c.loads), float64(c.limit)})
			}
		}
		peak := none
		if s.PeakBytes > 0 {
			peak = size(s.PeakBytes)
		}
		cells := []string{hits, held, limit, peak}
		section.Table.add(names[i], append(cells, before.cells(i, func(s run.Stack) float64 { return float64(s.PeakBytes) },
			func(x float64) string { return size(int64(x)) }, memoryNoise)...)...)
	}
	switch len(pairs) {
	case 0:
		section.Missing = "No stack has a cache that was used, so there is nothing to plot."
	case 1:
		section.Missing = fmt.Sprintf("Only stack %d has a cache that was used: one point makes no plot.", pairs[0].stack.Number)
	default:
		section.Plot = newScatterPlot("held by caches; the line ends at what they may hold", "loads answered by caches", pairs, &scale{to: 104}, 2,
			func(x float64) string { return size(int64(x)) }, func(y float64) string { return amount(y) + " %" })
	}
	return section
}

func sizeSection(r run.Run, names []stackName, before before) scatterSection {
	section := scatterSection{Table: table{Caption: "Size and CPU", Head: []string{"stored", "of states", "share", "CPU per op"}}}
	section.Table.Head = append(section.Table.Head, before.head("share stored")...)
	var pairs []pair
	for i, s := range r.Stacks {
		stored, hasStored := storedOf(s)
		perOperation, hasCPU := cpuOf(s)
		cells := []string{optional(s.StoredBytes, size), optional(s.StateBytes, size), none, none}
		if hasStored {
			cells[2] = share(stored, 1)
		}
		if hasCPU {
			cells[3] = duration(perOperation)
		}
		if hasStored && hasCPU {
			pairs = append(pairs, pair{names[i], 100 * stored, perOperation, 0})
		}
		section.Table.add(names[i], append(cells, before.cells(i, func(s run.Stack) float64 {
			stored, _ := storedOf(s)
			return stored
		}, func(x float64) string { return share(x, 1) }, sizeNoise)...)...)
	}
	switch len(pairs) {
	case 0:
		section.Missing = "No stack has both its stored bytes and its CPU time, so there is nothing to plot."
	case 1:
		section.Missing = fmt.Sprintf("Only stack %d has both its stored bytes and its CPU time: one point makes no plot.", pairs[0].stack.Number)
	default:
		section.Plot = newScatterPlot("bytes stored, as a share of the states", "CPU time of an operation", pairs, nil, 10,
			func(x float64) string { return amount(x) + " %" }, duration)
	}
	return section
}

func layersTable(r run.Run, names []stackName) table {
	t := table{Caption: "What came to each layer", Head: []string{"layer", "loads", "of all", "answered here", "hits", "shared", "saves", "loaded", "saved", "commits"}}
	for i, s := range r.Stacks {
		for j, l := range s.Layers {
			here := l.Loads
			if j+1 < len(s.Layers) {
				here = max(0, l.Loads-s.Layers[j+1].Loads)
			}
			t.add(names[i], l.Name, count(l.Loads), share(float64(l.Loads), float64(s.Layers[0].Loads)), share(float64(here), float64(l.Loads)),
				optional(l.Hits, count), optional(l.Shared, count), count(l.Saves), size(l.LoadBytes), size(l.SaveBytes), optional(l.Commits, count))
		}
	}
	return t
}

func requestsTable(r run.Run, names []stackName, before before) table {
	t := table{Caption: "Requests to the object store", Head: []string{"LIST", "GET", "PUT", "DELETE", "a million operations cost"}}
	t.Head = append(t.Head, before.head("price")...)
	for i, s := range r.Stacks {
		if q := s.Requests; q != nil {
			cells := []string{count(q.List), count(q.Get), count(q.Put), count(q.Delete), dollars(q.Dollars)}
			t.add(names[i], append(cells, before.cells(i, func(s run.Stack) float64 {
				if s.Requests == nil {
					return 0
				}
				return s.Requests.Dollars
			}, dollars, priceNoise)...)...)
		}
	}
	return t
}

// caches sums up the caches of a stack; hits and loads are of the outermost one.
type caches struct {
	found       bool
	hits, loads int64
	held, limit int64
}

func cachesOf(s run.Stack) caches {
	var c caches
	for _, l := range s.Layers {
		if l.Hits == nil || l.HeldBytes == nil {
			continue
		}
		if !c.found {
			c.hits, c.loads = *l.Hits, l.Loads
		}
		c.found = true
		c.held += *l.HeldBytes
		if l.LimitBytes != nil {
			c.limit += *l.LimitBytes
		}
	}
	return c
}

// cpuOf returns the CPU seconds of an operation.
func cpuOf(s run.Stack) (float64, bool) {
	perOperation := s.CPUSeconds / float64(s.Loads.Count+s.Saves.Count)
	return perOperation, finite(perOperation) && perOperation > 0
}

// storedOf returns the stored bytes as a share of the states'.
func storedOf(s run.Stack) (float64, bool) {
	if s.StoredBytes == nil || s.StateBytes == nil || *s.StoredBytes <= 0 || *s.StateBytes <= 0 {
		return 0, false
	}
	return float64(*s.StoredBytes) / float64(*s.StateBytes), true
}
