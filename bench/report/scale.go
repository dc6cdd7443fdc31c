package report

import (
	"fmt"
	"math"
)

// A scale maps values to the way across a plot, 0 to 1.
type scale struct {
	from, to    float64
	logarithmic bool
}

// logarithmicFrom is the ratio of the largest to the smallest value from which on a scale
// is logarithmic: below it, a linear one keeps the small ones apart.
const logarithmicFrom = 8

// newScale returns a scale for positive values with some room around them; where they are
// few and close to each other it begins at 0.
func newScale(values []float64) scale {
	least, most := math.Inf(1), 0.0
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	if most/least >= logarithmicFrom {
		return scale{from: least / 1.5, to: most * 1.5, logarithmic: true}
	}
	return scale{from: 0, to: most * 1.15}
}

func (s scale) at(v float64) float64 {
	if s.logarithmic {
		return math.Log(v/s.from) / math.Log(s.to/s.from)
	}
	return (v - s.from) / (s.to - s.from)
}

// ticks returns round values on the scale, about four.
func (s scale) ticks(base float64) []float64 {
	var ticks []float64
	if s.logarithmic {
		return s.logarithmicTicks(base)
	}
	step := math.Pow(base, math.Floor(math.Log(s.to-s.from)/math.Log(base)))
	for (s.to-s.from)/step < 3 {
		step /= 2
	}
	for (s.to-s.from)/step > 6 {
		step *= 2
	}
	for i := 0; ; i++ {
		v := s.from + float64(i)*step
		if v > s.to {
			return ticks
		}
		ticks = append(ticks, v)
	}
}

// mostTicks is how many labels a plot on a phone has room for.
const mostTicks = 6

// logarithmicTicks are powers of the base, with 2 and 5 or with 3 times those of ten where
// there is room; of too many every other one stays.
func (s scale) logarithmicTicks(base float64) []float64 {
	var ticks []float64
	for _, steps := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		if base != 10 {
			steps = []float64{1}
		}
		ticks = nil
		for power := math.Floor(math.Log(s.from) / math.Log(base)); math.Pow(base, power) <= s.to; power++ {
			for _, step := range steps {
				if v := step * math.Pow(base, power); v >= s.from && v <= s.to {
					ticks = append(ticks, v)
				}
			}
		}
		if len(ticks) <= mostTicks {
			break
		}
	}
	for len(ticks) > mostTicks {
		var fewer []float64
		for i := 0; i < len(ticks); i += 2 {
			fewer = append(fewer, ticks[i])
		}
		ticks = fewer
	}
	return ticks
}

// across writes a part of the width of an SVG.
func across(part float64) string { return fmt.Sprintf("%.2f%%", 100*part) }
