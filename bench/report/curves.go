package report

import (
	"cmp"
	"math"
	"slices"

	"github.com/snapstack/snapstack/bench/run"
)

// curves is what plots.js draws.
type curves struct {
	Loads      []curve `json:"loads"`
	Saves      []curve `json:"saves"`
	Throughput []curve `json:"throughput"`
	Rounds     []span  `json:"rounds"` // of the throughput
}

// A curve is a line of one stack. X rises.
type curve struct {
	Stack int       `json:"stack"` // from 0
	Name  string    `json:"name"`
	X     []float64 `json:"x"`
	Y     []float64 `json:"y"`
}

// A span is a round, in seconds.
type span struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

func newCurves(r run.Run, names []stackName) curves {
	c := curves{Loads: []curve{}, Saves: []curve{}, Throughput: []curve{}, Rounds: []span{}}
	for i, s := range r.Stacks {
		if one := latencyCurve(s.Loads); len(one.X) > 1 {
			one.Stack, one.Name = i, names[i].Short
			c.Loads = append(c.Loads, one)
		}
		if one := latencyCurve(s.Saves); len(one.X) > 1 {
			one.Stack, one.Name = i, names[i].Short
			c.Saves = append(c.Saves, one)
		}
		if one := throughputCurve(s.Timeline); len(one.X) > 1 {
			one.Stack, one.Name = i, names[i].Short
			c.Throughput = append(c.Throughput, one)
			if spans := roundSpans(s.Timeline); len(spans) > len(c.Rounds) {
				c.Rounds = spans
			}
		}
	}
	return c
}

// latencyCurve has across how many halvings, or rather tenths, of the operations are
// slower, so that the slowest ones have room: 0 for the fastest, 1 for 90 %, 2 for 99 %.
// 100 % would be infinitely far: it stands where one operation of all is left.
func latencyCurve(l run.Latency) curve {
	farthest := math.Log10(float64(max(l.Count, 1)))
	points := slices.Clone(l.Curve)
	slices.SortStableFunc(points, func(a, b run.Point) int { return cmp.Compare(a.Percentile, b.Percentile) })
	var c curve
	for _, p := range points {
		if !finite(p.Percentile) || !finite(p.Seconds) || p.Percentile < 0 || p.Percentile > 100 || p.Seconds <= 0 {
			continue
		}
		x := farthest
		if p.Percentile < 100 {
			x = min(x, -math.Log10(1-p.Percentile/100))
		}
		c.add(x, p.Seconds)
	}
	return c
}

func throughputCurve(bins []run.Bin) curve {
	var c curve
	for _, b := range bins {
		if x, y := b.Seconds-b.Length/2, float64(b.Operations)/b.Length; finite(x) && finite(y) && (len(c.X) == 0 || x > c.X[len(c.X)-1]) {
			c.add(x, y)
		}
	}
	return c
}

// add adds a point; of several at one place the last stays.
func (c *curve) add(x, y float64) {
	x += 0 // no -0, which the page would show
	if n := len(c.X); n > 0 && x <= c.X[n-1] {
		c.Y[n-1] = y
		return
	}
	c.X, c.Y = append(c.X, x), append(c.Y, y)
}

func roundSpans(bins []run.Bin) []span {
	var spans []span
	round := 0
	for _, b := range bins {
		from := b.Seconds - b.Length
		if !finite(from) || !finite(b.Seconds) {
			continue
		}
		if b.Round != round || len(spans) == 0 {
			spans = append(spans, span{From: from})
			round = b.Round
		}
		spans[len(spans)-1].To = b.Seconds
	}
	return spans
}
