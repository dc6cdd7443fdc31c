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
	c := curves{Loads: []curve{}, Saves: []curve{}, Throughput: []curve{}, Rounds: roundSpans(r.Stacks)}
	for i, s := range r.Stacks {
		if one := latencyCurve(s.Loads); len(one.X) > 1 {
			one.Stack, one.Name = i, names[i].Short
			c.Loads = append(c.Loads, one)
		}
		if one := latencyCurve(s.Saves); len(one.X) > 1 {
			one.Stack, one.Name = i, names[i].Short
			c.Saves = append(c.Saves, one)
		}
		if one := throughputCurve(s.Timeline, c.Rounds); len(one.X) > 1 {
			one.Stack, one.Name = i, names[i].Short
			c.Throughput = append(c.Throughput, one)
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

// throughputCurve has the rounds where spans say, so that those of all stacks lie above
// each other however long each took.
func throughputCurve(bins []run.Bin, spans []span) curve {
	var c curve
	starts := make(map[int]float64)
	for _, b := range bins {
		from := b.Seconds - b.Length
		y := float64(b.Operations) / b.Length
		if b.Round < 1 || b.Round > len(spans) || !finite(from) || !finite(y) || y < 0 {
			continue
		}
		if _, found := starts[b.Round]; !found {
			starts[b.Round] = from
		}
		x := spans[b.Round-1].From + from - starts[b.Round] + b.Length/2
		if len(c.X) == 0 || x > c.X[len(c.X)-1] {
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

// mostRounds is how many rounds are told apart; a run has a handful.
const mostRounds = 1000

// roundSpans returns the rounds one after the other, each as long as the stack took that
// took longest.
func roundSpans(stacks []run.Stack) []span {
	var lengths []float64
	for _, s := range stacks {
		own := make(map[int]float64)
		for _, b := range s.Timeline {
			if b.Round < 1 || b.Round > mostRounds || !finite(b.Length) || b.Length <= 0 {
				continue
			}
			own[b.Round] += b.Length
			for len(lengths) < b.Round {
				lengths = append(lengths, 0)
			}
			lengths[b.Round-1] = max(lengths[b.Round-1], own[b.Round])
		}
	}
	spans := make([]span, len(lengths))
	end := 0.0
	for i, length := range lengths {
		spans[i] = span{From: end, To: end + length}
		end += length
	}
	return spans
}
