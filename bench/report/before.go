package report

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/snapstack/snapstack/bench/run"
)

// A before has, for each stack of a run, the same stack of an earlier one.
type before struct {
	given  bool
	stacks []*run.Stack // nil where the earlier run has none of the text
	now    []run.Stack
	other  string
}

// newBefore finds the stacks of old; of several with one text each is taken once.
func newBefore(r run.Run, old *run.Run) before {
	if old == nil {
		return before{}
	}
	b := before{given: true, stacks: make([]*run.Stack, len(r.Stacks)), now: r.Stacks}
	taken := make(map[int]bool)
	for i, s := range r.Stacks {
		for j := range old.Stacks {
			if !taken[j] && old.Stacks[j].Text == s.Text {
				taken[j] = true
				b.stacks[i] = &old.Stacks[j]
				break
			}
		}
	}
	var differ []string
	if !reflect.DeepEqual(r.Workload, old.Workload) {
		differ = append(differ, "another workload")
	}
	if !reflect.DeepEqual(r.Machine, old.Machine) {
		differ = append(differ, "another machine or version of Go")
	}
	b.other = strings.Join(differ, " and ")
	return b
}

// head returns the titles of the columns of a difference; none without an old run.
func (b before) head(name string) []string {
	if !b.given {
		return nil
	}
	return []string{name + " then", "change"}
}

// cells returns what goes below head for the stack at i.
func (b before) cells(i int, value func(run.Stack) float64, show func(float64) string, noise func(now, then run.Stack) float64) []string {
	if !b.given {
		return nil
	}
	if b.stacks[i] == nil {
		return []string{none, none}
	}
	now, then := value(b.now[i]), value(*b.stacks[i])
	if !(then > 0) || !finite(then) {
		return []string{none, none}
	}
	if !(now > 0) || !finite(now) {
		return []string{show(then), none}
	}
	return []string{show(then), change(now/then, noise(b.now[i], *b.stacks[i]))}
}

// change returns a ratio as a difference, or "~" where it is within the noise.
func change(ratio, noise float64) string {
	switch {
	case max(ratio, 1/ratio) <= 1+noise:
		return "~"
	case ratio >= 2:
		return fmt.Sprintf("× %s", amount(ratio))
	case ratio > 1:
		return fmt.Sprintf("+%s", share(ratio-1, 1))
	default:
		return fmt.Sprintf("−%s", share(1-ratio, 1))
	}
}

// throughputNoise is how far the rounds of both runs are from their means at most. A run
// of one round tells nothing of it.
func throughputNoise(now, then run.Stack) float64 { return own(now) + own(then) }

func own(s run.Stack) float64 {
	if len(s.Rounds) < 2 || !(s.OpsPerSecond > 0) {
		return math.Inf(1)
	}
	noise := 0.0
	for _, r := range s.Rounds {
		noise = max(noise, math.Abs(r.OpsPerSecond/s.OpsPerSecond-1))
	}
	return noise
}

// latencyNoise is a tenth at least, as in package advice: a percentile rests on few
// operations.
func latencyNoise(now, then run.Stack) float64 { return max(0.10, throughputNoise(now, then)) }

// What hangs on no clock has margins of its own, as in package advice.
func memoryNoise(run.Stack, run.Stack) float64 { return 0.15 }
func sizeNoise(run.Stack, run.Stack) float64   { return 0.02 }
func priceNoise(run.Stack, run.Stack) float64  { return 0.05 }
