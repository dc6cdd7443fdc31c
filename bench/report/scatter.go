package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// scatterHeight is the height of a scatter plot in pixels; its width is that of the page.
const scatterHeight = 260

// A scatterPlot shows the stacks as points: one figure across, another upwards.
type scatterPlot struct {
	Across, Up string // names of the axes
	Height     int
	XTicks     []tick
	YTicks     []tick
	Points     []scatterPoint
}

type scatterPoint struct {
	Stack  stackName
	X      string
	Y      string
	Limit  string // the end of a line to the right, as that of what a cache may hold; "" for none
	Left   bool   // that the label stands on the left, where there is room
	LabelY string
}

// A pair is the two figures of a stack, positive; limit is 0 where there is none.
type pair struct {
	stack       stackName
	x, y, limit float64
}

func newScatterPlot(acrossName, upName string, pairs []pair, yAxis *scale, xBase float64, xLabel, yLabel func(float64) string) *scatterPlot {
	var xs, ys []float64
	for _, p := range pairs {
		xs, ys = append(xs, p.x), append(ys, p.y)
		if p.limit > 0 {
			xs = append(xs, p.limit)
		}
	}
	x, y := newScale(xs), newScale(ys)
	if yAxis != nil {
		y = *yAxis
	}
	down := func(v float64) float64 { return scatterHeight * (1 - y.at(v)) }
	plot := &scatterPlot{Across: acrossName, Up: upName, Height: scatterHeight}
	for _, v := range x.ticks(xBase) {
		plot.XTicks = append(plot.XTicks, tick{xLabel(v), across(x.at(v))})
	}
	for _, v := range y.ticks(10) {
		plot.YTicks = append(plot.YTicks, tick{yLabel(v), fmt.Sprintf("%.1f", down(v))})
	}
	// From the top down, for labels that give way to one another to keep their order.
	pairs = slices.Clone(pairs)
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.y, a.y) })
	var labels [][2]float64 // where labels stand: across from 0 to 1, and down
	for _, p := range pairs {
		point := scatterPoint{Stack: p.stack, X: across(x.at(p.x)), Y: fmt.Sprintf("%.1f", down(p.y)), Left: x.at(p.x) > .85}
		if p.limit > 0 {
			point.Limit = across(x.at(p.limit))
		}
		// Labels of points that lie together stand below each other.
		labelY := down(p.y)
		for _, other := range labels {
			if math.Abs(other[0]-x.at(p.x)) < .08 && math.Abs(other[1]-labelY) < 14 {
				labelY = other[1] + 15
			}
		}
		labels = append(labels, [2]float64{x.at(p.x), labelY})
		point.LabelY = fmt.Sprintf("%.1f", labelY-down(p.y)+4)
		plot.Points = append(plot.Points, point)
	}
	return plot
}
