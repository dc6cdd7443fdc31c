// Package workload runs one workload over several snapshot stores, so that they
// can be compared, and checks every read. It is the engine of command bench;
// programs import it to compare stores of their own.
//
// # The workload
//
// A number of entities, each saved once at first. Then workers choose an entity by
// a zipf distribution, as hot entities are chosen in life, and either load its
// latest snapshot or save the next one; a Scenario says otherwise. Each worker has its own
// generator of random numbers, seeded alike for every store. The stores take turns, a round
// each (A B C A B C), so that a machine that is busy with something else for a while hurts
// all alike. A first round warms them up and is not measured.
//
// In a closed loop, which is the default, a worker begins an operation when its last has
// ended, so that a store which stalls is asked less. In an open loop (Options.Rate)
// operations are due at fixed times, and their latency counts from then: a stall is seen
// in all that had to wait for it, as wrk2 does it.
//
// # The check
//
// Which state an entity has at a number follows from the two, so that no log is
// needed to check every load: it returns the number that was acknowledged last
// before it began, or a higher one that some save had begun by the time it ended,
// with exactly the bytes of that number. After the last round every entity is read
// once more. The check is not part of the latency of a load, but its time lowers
// the operations per second.
//
// # Libraries
//
// HdrHistogram/hdrhistogram-go records latencies: every one, in bounded memory and
// with bounded error, where a sample would lose the rare slow ones. x/sync/errgroup
// visits the entities of a store in parallel.
package workload

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/snapstack/snapstack/store"
)

// A Target is one store to run the workload on.
type Target struct {
	// Name stands for the store in results.
	Name string

	// Open returns the store, which Run closes. The snapshots of ids that begin with
	// "snapstack-bench-" belong to the run, which deletes them before and after;
	// others may be there and are not touched.
	//
	// A *storetest.Counter above a layer tells the Result what came to it; the layers
	// of this module tell what they did themselves.
	Open func(ctx context.Context) (store.SnapshotStore, error)
}

// Options configures Run. The zero value runs the default workload of command
// bench. Zero stands for what the Scenario has: Resolve tells.
type Options struct {
	// Scenario is what the entities are made to do; "" means Mixed.
	Scenario Scenario

	// States are the states to save, none over store limits of the targets. Run only
	// reads them. None means states that are generated from Seed: JSON of MinBytes to
	// MaxBytes, both from 1 KiB to 64 MiB, spread evenly over the logarithm, of which a
	// share of Incompressible, 0 to 1, is bytes of chance.
	States             [][]byte
	MinBytes, MaxBytes int
	Incompressible     float64

	// Change is the share of a state, up to 1, that differs from the one saved before it
	// of the same entity, in blocks of 64 bytes. 0 means that a state has nothing to do
	// with the one before, unless the Scenario says otherwise; a negative share means
	// that always.
	Change float64

	// IDs is the number of entities.
	IDs int

	// Reads is the share of operations that load, up to 1; a negative share means none.
	// Recovery and Steady have shares of their own.
	Reads float64

	// Skew is the exponent of the zipf distribution by which entities are chosen, above
	// 1: at 1.1 and 200 entities a fifth of all operations meet the first one, and two
	// thirds the first twenty. A negative one chooses evenly.
	Skew float64

	// Every is after how many events an entity is saved, in Steady.
	Every int

	// Duration is the measured time of each store, all rounds together; 0 means 2 s.
	// Recovery takes the time that it takes.
	Duration time.Duration

	// Warmup is the time of the round that is not measured; 0 means that of the others,
	// a negative one leaves it out.
	Warmup time.Duration

	// Rounds is how many turns each store takes; 0 means 5.
	Rounds int

	// Concurrency is the number of workers, each with one operation in flight.
	Concurrency int

	// Rate is how many operations a second are due, of all workers together: an open
	// loop. In Steady it is how many wakes. 0 means a closed loop. It is not for
	// Recovery.
	Rate float64

	// Seed seeds the choice of entities and operations.
	Seed uint64

	// Progress is called before every step and at the end, from the goroutine that
	// called Run; nil means nobody is told.
	Progress func(Progress)
}

// Progress says which step of a run begins.
type Progress struct {
	Step, Steps int    // steps done, of how many; equal at the end
	Target      string // the name of the store at hand; empty at the end
	Doing       string // as "round 2 of 5"
}

// Run runs the workload over the targets and returns a Result for each, in their
// order. What goes wrong with a store is in its Result and does not keep the
// others from being measured. The error is of the options, matches
// store.ErrInvalid, and comes before anything is opened.
//
// When ctx ends, Run stops measuring and returns what it has by then. It still
// deletes what it saved and closes the stores.
func Run(ctx context.Context, targets []Target, opts Options) ([]Result, error) {
	opts, err := opts.Resolve()
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("workload: %w", err))
	}
	first := 0 // round, the warm-up
	if opts.Warmup < 0 {
		first = 1
	}
	steps := len(targets) * (1 + opts.Rounds + 1 - first + 1)
	step := 0
	report := func(target, doing string) {
		if opts.Progress != nil {
			opts.Progress(Progress{Step: step, Steps: steps, Target: target, Doing: doing})
		}
		step++
	}
	if len(opts.States) == 0 {
		opts.States = generated(opts)
	}
	recorders := make([]*recorder, opts.Concurrency)
	for i := range recorders {
		recorders[i] = newRecorder()
	}

	source := newSource(opts.States, opts.Change)
	subjects := make([]*subject, len(targets))
	for i, target := range targets {
		report(target.Name, "first snapshots")
		subjects[i] = newSubject(i, target, opts, source)
		subjects[i].open(ctx)
	}
	length := opts.Duration / time.Duration(opts.Rounds)
	for round := first; round <= opts.Rounds && ctx.Err() == nil; round++ {
		doing := fmt.Sprintf("round %d of %d", round, opts.Rounds)
		if round == 0 {
			doing = "warm-up"
		}
		for _, s := range subjects {
			report(s.target.Name, doing)
			if !s.seeded || ctx.Err() != nil {
				continue
			}
			if round == 0 && opts.Warmup > 0 {
				s.round(ctx, recorders, opts.Warmup)
			} else {
				s.round(ctx, recorders, length)
			}
			if round == 0 {
				s.forget()
			}
		}
	}
	step = steps - len(targets) // also where ctx ended and rounds were left out
	results := make([]Result, len(targets))
	for i, s := range subjects {
		report(s.target.Name, "last reads")
		s.finish(ctx)
		results[i] = s.result
	}
	report("", "")
	return results, nil
}

// Resolve returns the options with what zero stands for, but for States, or an error
// that matches store.ErrInvalid.
func (o Options) Resolve() (Options, error) {
	invalid := func(option string, value any, allowed string) (Options, error) {
		return Options{}, fmt.Errorf("%w %s %v; allowed are %s", store.ErrInvalid, option, value, allowed)
	}
	if o.Scenario == "" {
		o.Scenario = Mixed
	}
	if _, err := ParseScenario(string(o.Scenario)); err != nil {
		return Options{}, err
	}
	const leastBytes, mostBytes = 1 << 10, 64 << 20
	switch {
	case o.MinBytes != 0 && (o.MinBytes < leastBytes || o.MinBytes > mostBytes):
		return invalid("MinBytes", o.MinBytes, "0 (for that of the scenario) and 1024 to 67108864")
	case o.MaxBytes != 0 && (o.MaxBytes < leastBytes || o.MaxBytes > mostBytes):
		return invalid("MaxBytes", o.MaxBytes, "0 (for that of the scenario) and 1024 to 67108864")
	case math.IsNaN(o.Incompressible) || o.Incompressible < 0 || o.Incompressible > 1:
		return invalid("Incompressible", o.Incompressible, "0 to 1")
	case o.Change > 1 || math.IsNaN(o.Change):
		return invalid("Change", o.Change, "up to 1, 0 (for that of the scenario) and negative shares (for none)")
	case o.IDs < 0:
		return invalid("IDs", o.IDs, "0 (for that of the scenario) and more")
	case o.Reads > 1 || math.IsNaN(o.Reads):
		return invalid("Reads", o.Reads, "up to 1, 0 (for that of the scenario) and negative shares (for none)")
	case o.Skew > 0 && o.Skew <= 1 || o.Skew > 100 || math.IsNaN(o.Skew):
		return invalid("Skew", o.Skew, "above 1 to 100, 0 (for that of the scenario) and negative ones (for none)")
	case o.Every < 0:
		return invalid("Every", o.Every, "0 (for that of the scenario) and more")
	case o.Duration < 0:
		return invalid("Duration", o.Duration, "0 (for 2s) and more")
	case o.Rounds < 0:
		return invalid("Rounds", o.Rounds, "0 (for 5) and more")
	case o.Concurrency < 0:
		return invalid("Concurrency", o.Concurrency, "0 (for that of the scenario) and more")
	case o.Rate < 0 || o.Rate > 1e9 || math.IsNaN(o.Rate):
		return invalid("Rate", o.Rate, "0 (for a closed loop) to 1e9")
	case o.Rate > 0 && o.Scenario == Recovery:
		return invalid("Rate", o.Rate, "0 in the scenario recovery, where everything is due at once")
	}
	for _, s := range scenarios {
		if s.name == o.Scenario {
			o = o.or(s.defaults)
		}
	}
	if o.MinBytes > o.MaxBytes {
		return invalid("MinBytes", o.MinBytes, fmt.Sprintf("up to MaxBytes, %d", o.MaxBytes))
	}
	if o.Duration == 0 {
		o.Duration = 2 * time.Second
	}
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	return o, nil
}

// or returns the options with those of the scenario where they are zero.
func (o Options) or(s Options) Options {
	// One bound of the sizes given moves the other one, if it has to.
	if o.MinBytes == 0 {
		o.MinBytes = s.MinBytes
		if o.MaxBytes != 0 {
			o.MinBytes = min(o.MinBytes, o.MaxBytes)
		}
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = max(s.MaxBytes, o.MinBytes)
	}
	if o.Change == 0 {
		o.Change = s.Change
	}
	if o.IDs == 0 {
		o.IDs = s.IDs
	}
	if o.Reads == 0 {
		o.Reads = s.Reads
	}
	if o.Skew == 0 {
		o.Skew = s.Skew
	}
	if o.Every == 0 {
		o.Every = s.Every
	}
	if o.Concurrency == 0 {
		o.Concurrency = s.Concurrency
	}
	return o
}
