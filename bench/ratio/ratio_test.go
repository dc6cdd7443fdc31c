package ratio_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/snapstack/snapstack/bench/ratio"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		rounds  []float64
		want    ratio.Ratio
		differs bool
	}{
		{[]float64{2}, ratio.Ratio{Median: 2}, true},
		{[]float64{3, 1, 2}, ratio.Ratio{Median: 2, Spread: 1}, false},
		{[]float64{1, 4}, ratio.Ratio{Median: 2, Spread: 1}, false},
		{[]float64{2, 2.5, 3}, ratio.Ratio{Median: 2.5, Spread: 0.25}, true},
		{[]float64{0.5, 0.4, 0.8}, ratio.Ratio{Median: 0.5, Spread: 0.6}, true},
		{[]float64{1.005, 1.005}, ratio.Ratio{Median: 1.005}, false},
		{[]float64{0, math.NaN(), math.Inf(1), -1, 2}, ratio.Ratio{Median: 2}, true},
	} {
		got, ok := ratio.Of(c.rounds)
		if !ok || math.Abs(got.Median-c.want.Median) > 1e-9 || math.Abs(got.Spread-c.want.Spread) > 1e-9 || got.Differs() != c.differs {
			t.Errorf("Of(%v) = %+v, %v, which differs: %v; want %+v, %v", c.rounds, got, ok, got.Differs(), c.want, c.differs)
		}
	}
	for _, rounds := range [][]float64{nil, {0}, {math.NaN(), -1}} {
		if got, ok := ratio.Of(rounds); ok {
			t.Errorf("Of(%v) = %+v", rounds, got)
		}
	}
}

// Whichever of two stacks is the first, the spread is the same, and they differ or do not;
// and no round is outside of the spread.
func TestEitherWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rounds := rapid.SliceOfN(rapid.Float64Range(0.001, 1000), 1, 8).Draw(t, "rounds")
		inverse := make([]float64, len(rounds))
		for i, x := range rounds {
			inverse[i] = 1 / x
		}
		r, _ := ratio.Of(rounds)
		back, _ := ratio.Of(inverse)
		if math.Abs(r.Median*back.Median-1) > 1e-9 || math.Abs(r.Spread-back.Spread) > 1e-9*(1+r.Spread) {
			t.Fatalf("%+v one way and %+v the other", r, back)
		}
		if edge := max(r.Median, 1/r.Median) - 1 - r.Spread; math.Abs(edge) > 1e-9 && r.Differs() != back.Differs() {
			t.Fatalf("%+v differs: %v, %+v differs: %v", r, r.Differs(), back, back.Differs())
		}
		low, high := r.Within()
		for _, x := range rounds {
			if x < low*(1-1e-9) || x > high*(1+1e-9) {
				t.Fatalf("%v is not within %v and %v", x, low, high)
			}
		}
	})
}
