package run

import (
	"fmt"
	"math"
	"slices"

	"github.com/snapstack/snapstack/store"
)

// A Change is what became of a stack from one run to a later one.
type Change struct {
	Text     string // of the stack
	Old, New *Stack

	// Ratio is the operations per second of the new run to those of the old one: of the
	// medians of their rounds. Noise is how far the rounds of either were from their median
	// at most, together: a ratio within Noise of 1 is no difference. The runs having been
	// at different times, what the machine did meanwhile is not in it. Ok is false where a
	// run has no rounds of the stack.
	Ratio, Noise float64
	Ok           bool
}

// Differs says whether there is a difference that the noise does not explain.
func (c Change) Differs() bool { return c.Ok && math.Abs(c.Ratio-1) > c.Noise }

// Comparable returns an error that matches store.ErrInvalid, and says what differs, where
// two runs did not do the same, so that what they measured can't be compared. How long they
// took may differ.
func Comparable(old, now Workload) error {
	old.DurationSeconds, old.WarmupSeconds, old.Rounds = now.DurationSeconds, now.WarmupSeconds, now.Rounds
	for _, one := range []struct {
		name     string
		old, now any
	}{
		{"scenario", old.Scenario, now.Scenario},
		{"states", old.States, now.States},
		{"ids", old.IDs, now.IDs},
		{"reads", old.Reads, now.Reads},
		{"skew", old.Skew, now.Skew},
		{"change", old.Change, now.Change},
		{"concurrency", old.Concurrency, now.Concurrency},
		{"rate", old.Rate, now.Rate},
		{"delay of loads", old.LoadDelaySeconds, now.LoadDelaySeconds},
		{"delay of saves", old.SaveDelaySeconds, now.SaveDelaySeconds},
		{"seed", old.Seed, now.Seed},
	} {
		if one.old != one.now {
			return fmt.Errorf("run: %w comparison: %s was %+v and is %+v; allowed are runs that did the same", store.ErrInvalid, one.name, one.old, one.now)
		}
	}
	return nil
}

// Compare returns what became of the stacks that both runs have, in the order of the new
// one. Where they are not Comparable, or have no stack in common, it returns an error that
// matches store.ErrInvalid.
func Compare(old, now Run) ([]Change, error) {
	if err := Comparable(old.Workload, now.Workload); err != nil {
		return nil, err
	}
	var changes []Change
	for i := range now.Stacks {
		at := slices.IndexFunc(old.Stacks, func(s Stack) bool { return s.Text == now.Stacks[i].Text })
		if at < 0 {
			continue
		}
		c := Change{Text: now.Stacks[i].Text, Old: &old.Stacks[at], New: &now.Stacks[i]}
		oldMiddle, oldNoise, ok1 := middle(c.Old.Rounds)
		newMiddle, newNoise, ok2 := middle(c.New.Rounds)
		if c.Ok = ok1 && ok2; c.Ok {
			c.Ratio, c.Noise = newMiddle/oldMiddle, oldNoise+newNoise
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil, fmt.Errorf("run: %w comparison: the runs have no stack in common", store.ErrInvalid)
	}
	return changes, nil
}

// middle returns the median of the operations per second, and how far a round was from
// it at most, as a share of it.
func middle(rounds []Round) (median, noise float64, ok bool) {
	var all []float64
	for _, r := range rounds {
		if r.OpsPerSecond > 0 {
			all = append(all, r.OpsPerSecond)
		}
	}
	if len(all) == 0 {
		return 0, 0, false
	}
	slices.Sort(all)
	median = (all[(len(all)-1)/2] + all[len(all)/2]) / 2
	return median, max(median-all[0], all[len(all)-1]-median) / median, true
}
