package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/bench/run"
)

func TestLatencyCurve(t *testing.T) {
	c := latencyCurve(run.Latency{Count: 1000, Curve: []run.Point{
		{Percentile: 90, Seconds: 3}, // not in order
		{Percentile: 0, Seconds: 1}, {Percentile: 50, Seconds: 2}, {Percentile: 50, Seconds: 2.5},
		{Percentile: 99, Seconds: 0}, // none
		{Percentile: 99.999, Seconds: 8}, {Percentile: 100, Seconds: 9},
	}})
	wantX, wantY := []float64{0, math.Log10(2), 1, 3}, []float64{1, 2.5, 3, 9}
	if !slices.EqualFunc(c.X, wantX, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) || !slices.Equal(c.Y, wantY) {
		t.Errorf("the curve is %v, %v; want %v, %v", c.X, c.Y, wantX, wantY)
	}
	if math.Signbit(c.X[0]) {
		t.Error("the curve begins at -0")
	}
}

// TestThroughputCurve has a stack whose first round took longer than the other's: the second
// ones begin together all the same.
func TestThroughputCurve(t *testing.T) {
	stacks := []run.Stack{
		{Timeline: []run.Bin{{Seconds: .5, Round: 1, Operations: 50, Length: .5}, {Seconds: 1, Round: 1, Operations: 60, Length: .5}, {Seconds: 1.5, Round: 2, Operations: 70, Length: .5}, {Seconds: 2, Round: 2, Length: 0}}},
		{Timeline: []run.Bin{{Seconds: 2, Round: 1, Operations: 50, Length: 2}, {Seconds: 2.5, Round: 2, Operations: 60, Length: .5}, {Seconds: 9, Round: 0, Length: 1}, {Seconds: 9, Round: 1 << 30, Length: 1}}},
	}
	spans := roundSpans(stacks)
	if !slices.Equal(spans, []span{{0, 2}, {2, 2.5}}) {
		t.Errorf("the rounds are %v", spans)
	}
	for i, want := range []curve{
		{X: []float64{.25, .75, 2.25}, Y: []float64{100, 120, 140}},
		{X: []float64{1, 2.25}, Y: []float64{25, 120}},
	} {
		if c := throughputCurve(stacks[i].Timeline, spans); !slices.Equal(c.X, want.X) || !slices.Equal(c.Y, want.Y) {
			t.Errorf("curve %d is %v, %v; want %v, %v", i, c.X, c.Y, want.X, want.Y)
		}
	}
}

// TestPicture has a stack whose middle layer asks more of the next one than it was asked.
func TestPicture(t *testing.T) {
	p := newPicture(run.Stack{Layers: []run.Layer{
		{Name: "cache", Loads: 1000}, {Name: "fallback", Loads: 250}, {Name: "sqlite", Loads: 500},
	}}, stackName{})
	if len(p.Layers) != 3 {
		t.Fatalf("%d layers", len(p.Layers))
	}
	for i, want := range []struct{ arrived, share, answered, flow string }{
		{"1,000", "100 %", "75.0 % answered here", "M8 0 h14.00 L22.00 74 H8 Z"},
		{"250", "25.0 %", "lets every load through", "M8 74 h14.00 L36.00 148 H8 Z"},
		{"500", "50.0 %", "answers what reaches it", ""},
	} {
		l := p.Layers[i]
		if l.Arrived != want.arrived || l.Share != want.share || l.Answered != want.answered || l.Flow != want.flow {
			t.Errorf("layer %d is %+v, want %+v", i, l, want)
		}
	}
	if p.Layers[1].Exit != "" || p.Layers[0].Exit == "" || p.Layers[2].Exit == "" {
		t.Errorf("%q, %q and %q leave", p.Layers[0].Exit, p.Layers[1].Exit, p.Layers[2].Exit)
	}
	for _, s := range []run.Stack{{}, {Layers: []run.Layer{{Name: "memory"}}}} {
		if p := newPicture(s, stackName{}); p != nil {
			t.Errorf("without loads the picture is %+v", p)
		}
	}
	// The first layer may have counted nothing, as one of the user's own.
	if p := newPicture(run.Stack{Layers: []run.Layer{{Name: "own"}, {Name: "memory", Loads: 3}}}, stackName{}); p == nil || p.Layers[1].Share != none {
		t.Errorf("with a layer that counts nothing the picture is %+v", p)
	}
}

func TestScaleTicks(t *testing.T) {
	for _, c := range []struct {
		s    scale
		base float64
		want []float64
	}{
		{scale{to: 104}, 10, []float64{0, 25, 50, 75, 100}},
		{scale{to: 7 << 20}, 2, []float64{0, 2 << 20, 4 << 20, 6 << 20}},
		{scale{from: .4, to: 12, logarithmic: true}, 10, []float64{.5, 1, 2, 5, 10}},
		{scale{from: .07, to: 16, logarithmic: true}, 10, []float64{.1, .3, 1, 3, 10}},
		{scale{from: 3, to: 3e6, logarithmic: true}, 10, []float64{10, 1e2, 1e3, 1e4, 1e5, 1e6}},
		{scale{from: 3, to: 3e9, logarithmic: true}, 10, []float64{10, 1e3, 1e5, 1e7, 1e9}},
		{scale{from: 1 << 20, to: 64 << 20, logarithmic: true}, 2, []float64{1 << 20, 4 << 20, 16 << 20, 64 << 20}},
	} {
		got := c.s.ticks(c.base)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Abs(b) }) {
			t.Errorf("%+v has ticks at %v, want %v", c.s, got, c.want)
		}
		for _, v := range got {
			if at := c.s.at(v); at < -1e-9 || at > 1+1e-9 {
				t.Errorf("%+v has the tick %v at %v", c.s, v, at)
			}
		}
	}
}

// TestRatios has one stack for each side of the spread.
func TestRatios(t *testing.T) {
	one := func(ratio, spread float64) run.Stack { return run.Stack{Ratio: &ratio, Spread: &spread} }
	r := run.Run{Stacks: []run.Stack{one(1, 0), one(1.2, .25), one(1.2, .1), one(.5, 1.1), {}}}
	r.Stacks[2].Stale, r.Stacks[2].Errors = 3, 1200
	p := newRatioPlot(r, newStackNames(r))
	for i, want := range []struct {
		within, measured bool
		bad              string
	}{{true, true, ""}, {true, true, ""}, {false, true, "3 stale, 1,200 failed"}, {true, true, ""}, {false, false, ""}} {
		row := p.Rows[i]
		if row.Within != want.within || row.Measured != want.measured || row.Bad != want.bad {
			t.Errorf("row %d is %+v, want %+v", i, row, want)
		}
		if strings.Contains(row.From, "-") || strings.Contains(row.To, "N") {
			t.Errorf("row %d goes from %s to %s", i, row.From, row.To)
		}
	}
	if p := newRatioPlot(run.Run{Stacks: []run.Stack{one(1, 0)}}, make([]stackName, 1)); p != nil {
		t.Error("one stack has a plot of ratios")
	}
}

// TestStackNames tells that many stacks are told apart without reading their numbers.
func TestStackNames(t *testing.T) {
	seen := make(map[[3]string]int)
	for i, name := range newStackNames(run.Run{Stacks: make([]run.Stack, 40)}) {
		key := [3]string{string(rune('a' + name.Color)), name.Marker, name.Dash}
		if other, found := seen[key]; found {
			t.Errorf("stacks %d and %d look the same", other+1, i+1)
		}
		seen[key] = i
	}
	for text, want := range map[string]string{
		`cache(size=8MiB) | sqlite(path="TEMP/a.db",keep=3)`:     "cache(size=8MiB) | sqlite",
		`objectstore(url="s3://b?endpoint=http://h:1",prefix=x)`: "objectstore(url=s3)",
		"my own (store": "my own (store",
	} {
		if got := short(text); got != want {
			t.Errorf("short(%s) = %s, want %s", text, got, want)
		}
	}
}

// TestScatterLabels has points so close together that their labels give way: downwards, in
// the order of the points.
func TestScatterLabels(t *testing.T) {
	plot := newScatterPlot("x", "y", []pair{
		{stack: stackName{Number: 1}, x: 50, y: 100}, {stack: stackName{Number: 2}, x: 50, y: 101}, {stack: stackName{Number: 3}, x: 50, y: 102}, {stack: stackName{Number: 4}, x: 10, y: 101},
	}, nil, 10, amount, amount)
	var last float64
	for i, want := range []int{3, 2, 4, 1} {
		p := plot.Points[i]
		if p.Stack.Number != want {
			t.Fatalf("point %d is stack %d, want %d", i, p.Stack.Number, want)
		}
		var y, offset float64
		if _, err := fmt.Sscan(p.Y, &y); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(p.LabelY, &offset); err != nil {
			t.Fatal(err)
		}
		if want == 4 {
			if offset != 4 {
				t.Errorf("the label of the point aside stands %v off", offset)
			}
			continue
		}
		if y+offset < last+14 {
			t.Errorf("the label of stack %d stands at %v, the one above at %v", want, y+offset, last)
		}
		last = y + offset
	}
}
