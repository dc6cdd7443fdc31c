// Package ratio compares two stacks that took turns: by what one did in each round to
// what the other did in the same round. What makes the machine slow for a while makes both
// slow, and cancels out; what does not is the spread.
package ratio

import (
	"math"
	"slices"
)

// A Ratio is that of one stack to another over the rounds of a run.
type Ratio struct {
	// Median is that of the rounds; of two in the middle it is the geometric mean.
	Median float64

	// Spread is the share by which a round was from Median at most: every round lies between
	// Median/(1+Spread) and Median*(1+Spread). So it is the same for a to b and for b to a.
	Spread float64
}

// least is the difference below which nobody chooses a stack, and a few rounds may agree
// by chance.
const least = 0.01

// Of returns the Ratio of the rounds, of which those that are no number above 0 are left
// out; ok is false where none is left.
func Of(rounds []float64) (r Ratio, ok bool) {
	rounds = slices.DeleteFunc(slices.Clone(rounds), func(x float64) bool { return !(x > 0) || math.IsInf(x, 0) })
	if len(rounds) == 0 {
		return Ratio{}, false
	}
	slices.Sort(rounds)
	r.Median = rounds[len(rounds)/2]
	if len(rounds)%2 == 0 {
		r.Median = math.Sqrt(rounds[len(rounds)/2-1]) * math.Sqrt(r.Median) // their product might be too small or large
	}
	r.Spread = max(r.Median/rounds[0], rounds[len(rounds)-1]/r.Median) - 1
	return r, true
}

// Differs says whether the stacks differ: by a hundredth at least, and beyond the spread.
func (r Ratio) Differs() bool {
	return max(r.Median, 1/r.Median) > 1+max(r.Spread, least)
}

// Within returns the ends of the spread.
func (r Ratio) Within() (low, high float64) {
	return r.Median / (1 + r.Spread), r.Median * (1 + r.Spread)
}
