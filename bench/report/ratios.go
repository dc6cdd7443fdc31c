package report

import (
	"strings"

	"github.com/snapstack/snapstack/bench/run"
)

// A ratioPlot shows the throughput of each stack against the first one's, with the spread
// of the rounds, on a logarithmic scale: twice as fast is as far from 1 as half as fast.
type ratioPlot struct {
	Ticks []tick
	One   string // where 1 is
	Rows  []ratioRow
}

// A tick is a mark on an axis, where it is across, or down in pixels.
type tick struct {
	Label string
	At    string
}

type ratioRow struct {
	Stack         stackName
	Measured      bool
	First         bool
	Within        bool   // within the spread: no difference
	At, From, To  string // across
	Label, Spread string
	Bad           string // what makes the figure worthless; "" for nothing
}

func newRatioPlot(r run.Run, stacks []stackName) *ratioPlot {
	least, most := 1.0, 1.0
	any := false
	for _, s := range r.Stacks {
		if against, ok := s.Against(); ok {
			low, high := against.Within()
			least, most = min(least, low), max(most, high)
			any = true
		}
	}
	if !any || len(r.Stacks) < 2 {
		return nil
	}
	axis := scale{from: least / 1.25, to: most * 1.25, logarithmic: true}
	p := &ratioPlot{One: across(axis.at(1))}
	for _, v := range axis.ticks(10) {
		p.Ticks = append(p.Ticks, tick{amount(v), across(axis.at(v))})
	}
	for i, s := range r.Stacks {
		row := ratioRow{Stack: stacks[i], First: i == 0}
		if against, ok := s.Against(); ok {
			low, high := against.Within()
			row.Measured = true
			row.Within = !against.Differs()
			row.At, row.From, row.To = across(axis.at(against.Median)), across(axis.at(low)), across(axis.at(high))
			row.Label, row.Spread = times(against.Median), spread(against)
			row.Bad = bad(s)
		}
		p.Rows = append(p.Rows, row)
	}
	return p
}

// bad says what was wrong with the answers of a stack: a wrong one is fast for nothing.
func bad(s run.Stack) string {
	var said []string
	for _, c := range []struct {
		n    int64
		what string
	}{{s.Stale, "stale"}, {s.Wrong, "wrong"}, {s.Errors, "failed"}} {
		if c.n > 0 {
			said = append(said, count(c.n)+" "+c.what)
		}
	}
	return strings.Join(said, ", ")
}
