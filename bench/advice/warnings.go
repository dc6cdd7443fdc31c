package advice

import (
	"fmt"
	"strings"

	"github.com/snapstack/snapstack/bench/run"
)

const (
	// shortSeconds is how long a stack must be measured for its figures to hold still:
	// it spans several garbage collections and checkpoints.
	shortSeconds = 1.0
	// shortOperations is how many operations a stack needs for a p99.
	shortOperations = leastForP99
	// noisySpread is the spread from which on a run says little: stacks that differ by
	// less than it are most of those that people choose between.
	noisySpread = 0.25
	// calmSpread is a spread that is no reason to run longer, even where all stacks are
	// level.
	calmSpread = 0.05
	// missedRate is the share of the asked rate below which an open loop has a queue
	// that grows.
	missedRate = 0.95
)

// warnings says what is wrong with the run, worst first.
func warnings(r run.Run, all []subject) []string {
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	var measured []subject
	for _, s := range all {
		if s.measured() {
			measured = append(measured, s)
		}
		if s.Stale > 0 || s.Wrong > 0 {
			say("%s gave %s stale and %s wrong reads: a store must give none, so don't use it before that is understood, and don't trust its other figures.",
				sentence(s.name()), count(float64(s.Stale)), count(float64(s.Wrong)))
		}
	}
	for _, s := range all {
		switch {
		case s.Errors == 1:
			say("An operation of %s failed; it is left out of the comparison.", s.name())
		case s.Errors > 1:
			say("%s operations of %s failed; it is left out of the comparison.", count(float64(s.Errors)), s.name())
		case !s.measured() && len(s.Problems) > 0:
			say("%s could not be measured (%s).", sentence(s.name()), strings.TrimPrefix(s.Problems[0], "not measured: "))
		case !s.measured() && !r.Interrupted:
			say("Nothing was measured of %s.", s.name())
		}
	}
	if r.Interrupted {
		if len(measured) == 0 {
			say("The run was interrupted after %s, before anything was measured.", duration(r.Seconds))
		} else {
			say("The run was interrupted after %s: this is what was measured until then.", duration(r.Seconds))
		}
	} else if len(all) == 0 {
		say("There was no stack to measure.")
	}
	for _, s := range measured {
		if reached := begun(r, s); r.Workload.Rate > 0 && finite(r.Workload.Rate) && reached < missedRate*r.Workload.Rate {
			say("%s did %s of the %s operations a second that were due: its latencies are those of a queue that grows.",
				sentence(s.name()), count(reached), count(r.Workload.Rate))
		}
	}
	if warning := uncertainty(r, measured); warning != "" {
		said = append(said, warning)
	}
	return said
}

// uncertainty says why the figures of a run may not hold still; "" where they do.
func uncertainty(r run.Run, measured []subject) string {
	if len(measured) == 0 {
		return ""
	}
	for _, s := range measured {
		seconds := 0.0
		for _, round := range s.Rounds {
			if round.Seconds > 0 && finite(round.Seconds) {
				seconds += round.Seconds
			}
		}
		if seconds < shortSeconds || s.operations() < shortOperations {
			return fmt.Sprintf("The run was short: %s had %s operations in %s. Run longer (%s) before deciding anything.",
				s.name(), count(float64(s.operations())), duration(seconds), longer(r))
		}
	}
	if len(measured) < 2 {
		return ""
	}
	worst, level := 0.0, true
	for _, s := range measured {
		if len(s.Rounds) < 2 {
			return fmt.Sprintf("%s had one round, which tells nothing of the spread: no difference in speed is claimed (-rounds).", sentence(s.name()))
		}
		if against, ok := s.Against(); ok {
			worst = max(worst, against.Spread)
			level = level && !against.Differs()
		}
	}
	switch {
	case level && worst > calmSpread:
		return fmt.Sprintf("The spread over the rounds (±%s) is larger than the differences in throughput: run longer (%s) to tell the stacks apart.", percent(worst), longer(r))
	case worst > noisySpread:
		return fmt.Sprintf("The machine was noisy: rounds differ by up to %s. Smaller differences mean nothing; run longer (%s).", percent(worst), longer(r))
	}
	return ""
}

// longer returns the flag that makes a run longer.
func longer(r run.Run) string {
	if recovery(r) {
		return "-rounds" // each takes the time that it takes
	}
	return "-duration"
}

// begun returns how many of what was due a second a stack did: operations, or in the
// scenario steady the wakes, each of which begins with a load.
func begun(r run.Run, s subject) float64 {
	if r.Workload.Scenario != "steady" || s.operations() == 0 {
		return s.OpsPerSecond
	}
	return s.OpsPerSecond * float64(s.Loads.Count) / float64(s.operations())
}
