package advice

import (
	"fmt"
	"math"

	"github.com/snapstack/snapstack/bench/ratio"
	"github.com/snapstack/snapstack/bench/run"
)

// What no round tells is given a margin of its own. These are chosen, not measured: on the
// careful side for what is timed, narrow for what is counted.
const (
	// tailNoise is the least margin of a percentile, which rests on few operations.
	tailNoise = 0.10
	// leastForP99 is how many operations a p99 needs: ten slower ones.
	leastForP99 = 1000
	// sizeNoise is the margin of bytes stored: stacks end at different snapshots.
	sizeNoise = 0.02
	// memoryNoise is the margin of peak memory, which depends on when garbage is collected.
	memoryNoise = 0.15
	// priceNoise is the margin of a price, which follows the hits of a cache.
	priceNoise = 0.05
)

// A metric is something that stacks are compared by.
type metric struct {
	name     string
	more     bool   // that more of it is better
	up, down string // words for a value that is higher, lower
	value    func(*run.Stack) (float64, bool)
	noise    func(a, b *run.Stack) float64 // differences up to it, as a share, are none
	perRound func(run.Round) float64       // what the ratio is the median of; nil where rounds have none
	show     func(float64) string
}

var (
	throughput = metric{
		name: "throughput", more: true, up: "higher", down: "lower",
		value:    func(s *run.Stack) (float64, bool) { return s.OpsPerSecond, s.OpsPerSecond > 0 },
		perRound: func(r run.Round) float64 { return r.OpsPerSecond },
		show:     func(x float64) string { return count(x) + " operations a second" },
	}
	loadP99 = metric{
		name: "load p99", up: "higher", down: "lower",
		value: func(s *run.Stack) (float64, bool) { return p99(s.Loads) },
		noise: timingNoise, show: duration,
	}
	saveP99 = metric{
		name: "save p99", up: "higher", down: "lower",
		value: func(s *run.Stack) (float64, bool) { return p99(s.Saves) },
		noise: timingNoise, show: duration,
	}
	stored = metric{
		name: "bytes stored", up: "more", down: "fewer",
		value: func(s *run.Stack) (float64, bool) {
			if s.StoredBytes == nil || s.StateBytes == nil || *s.StoredBytes <= 0 || *s.StateBytes <= 0 {
				return 0, false
			}
			return float64(*s.StoredBytes) / float64(*s.StateBytes), true
		},
		noise: margin(sizeNoise),
		show:  func(x float64) string { return percent(x) + " of the states" },
	}
	peak = metric{
		name: "peak memory", up: "more", down: "less",
		value: func(s *run.Stack) (float64, bool) { return float64(s.PeakBytes), s.PeakBytes > 0 },
		noise: margin(memoryNoise), show: size,
	}
	cpu = metric{
		name: "CPU per operation", up: "more", down: "less",
		value: func(s *run.Stack) (float64, bool) {
			operations := float64(s.Loads.Count + s.Saves.Count)
			return s.CPUSeconds / operations, operations > 0 && s.CPUSeconds > 0
		},
		perRound: func(r run.Round) float64 { return r.CPUSeconds / (r.OpsPerSecond * r.Seconds) },
		show:     duration,
	}
	price = metric{
		name: "price of requests", up: "higher", down: "lower",
		value: func(s *run.Stack) (float64, bool) {
			if s.Requests == nil {
				return 0, false
			}
			return s.Requests.Dollars, s.Requests.Dollars > 0
		},
		noise: margin(priceNoise),
		show:  func(x float64) string { return "$" + digits(x) + " a million operations" },
	}

	metrics = []metric{throughput, loadP99, saveP99, stored, peak, cpu, price}
)

// ratio returns b's value over a's, and whether it differs from 1 beyond the noise; ok is
// false where one of them has no value or nothing is known of the noise.
func (m metric) ratio(a, b *run.Stack) (ratio float64, differs, ok bool) {
	from, ok1 := m.value(a)
	to, ok2 := m.value(b)
	if !ok1 || !ok2 || !finite(from) || !finite(to) {
		return 0, false, false
	}
	if m.perRound == nil {
		ratio = to / from
		noise := m.noise(a, b)
		return ratio, max(ratio, 1/ratio) > 1+noise, finite(ratio) && finite(1/ratio) && finite(noise)
	}
	against, ok := overRounds(a, b, m.perRound)
	return against.Median, against.Differs(), ok
}

// overRounds returns what the rounds of b have over the same rounds of a. One round tells
// nothing of the spread.
func overRounds(a, b *run.Stack, value func(run.Round) float64) (against ratio.Ratio, ok bool) {
	var rounds []float64
	for i := range min(len(a.Rounds), len(b.Rounds)) {
		if r := value(b.Rounds[i]) / value(a.Rounds[i]); r > 0 && finite(r) && finite(1/r) {
			rounds = append(rounds, r)
		}
	}
	if len(rounds) < 2 {
		return ratio.Ratio{}, false
	}
	return ratio.Of(rounds)
}

// timingNoise returns the margin of a latency: what makes rounds differ makes latencies
// differ.
func timingNoise(a, b *run.Stack) float64 {
	against, ok := overRounds(a, b, throughput.perRound)
	if !ok {
		return math.Inf(1)
	}
	return max(tailNoise, against.Spread)
}

func margin(share float64) func(a, b *run.Stack) float64 {
	return func(_, _ *run.Stack) float64 { return share }
}

func p99(l run.Latency) (float64, bool) {
	return l.P99, l.Count >= leastForP99 && l.P99 > 0 && finite(l.P99)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// better tells whether a value at the ratio to another is the better one.
func (m metric) better(ratio float64) bool { return (ratio > 1) == m.more }

// plain is the ratio from which on "times" is easier to grasp than "%".
const plain = 2

// change puts a ratio in words, as "3.2 times the throughput" or "12 % higher load p99".
func (m metric) change(ratio float64) string {
	switch {
	case ratio >= plain:
		return fmt.Sprintf("%s times the %s", digits(ratio), m.name)
	case ratio <= 1.0/plain:
		return fmt.Sprintf("%s times %s %s", digits(1/ratio), m.down, m.name)
	case ratio > 1:
		return fmt.Sprintf("%s %s %s", percent(ratio-1), m.up, m.name)
	default:
		return fmt.Sprintf("%s %s %s", percent(1-ratio), m.down, m.name)
	}
}

// than puts a ratio in words behind a value, as "3.2 times stack 1" or "12 % higher than
// stack 1".
func (m metric) than(ratio float64, other string) string {
	switch {
	case ratio >= plain:
		return digits(ratio) + " times " + other
	case ratio <= 1.0/plain:
		return fmt.Sprintf("%s times %s than %s", digits(1/ratio), m.down, other)
	case ratio > 1:
		return fmt.Sprintf("%s %s than %s", percent(ratio-1), m.up, other)
	default:
		return fmt.Sprintf("%s %s than %s", percent(1-ratio), m.down, other)
	}
}
