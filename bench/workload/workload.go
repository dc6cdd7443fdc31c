// Package workload runs one workload over several snapshot stores, so that they
// can be compared, and checks every read. It is the engine of command bench;
// programs import it to compare stores of their own.
//
// # The workload
//
// A number of entities, each saved once at first. Then workers choose an entity by
// a zipf distribution, as hot entities are chosen in life, and either load its
// latest snapshot or save the next one. Each worker has its own generator of random
// numbers, seeded alike for every store. The stores take turns, a round each (A B C
// A B C), so that a machine that is busy with something else for a while hurts all
// alike. A first round warms them up and is not measured.
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
	"runtime"
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
	// Where one of its layers is a *storetest.Counter, the Result says what passed
	// it, and where one is a *cache.Cache, how often that was hit; of several the
	// outermost counts.
	Open func(ctx context.Context) (store.SnapshotStore, error)
}

// Options configures Run. The zero value runs the default workload of command
// bench.
type Options struct {
	// States are the states to save, none over store limits of the targets. Run only
	// reads them. None means Generate(Seed).
	States [][]byte

	// IDs is the number of entities; 0 means 200.
	IDs int

	// Reads is the share of operations that load, up to 1; 0 means 0.9 and a negative
	// share means none.
	Reads float64

	// Duration is the measured time of each store, all rounds together; 0 means 2 s.
	// The warm-up takes the time of one round more.
	Duration time.Duration

	// Rounds is how many turns each store takes; 0 means 5.
	Rounds int

	// Concurrency is the number of workers, each with one operation in flight; 0 means
	// 8.
	Concurrency int

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
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("workload: %w", err))
	}
	steps := len(targets) * (1 + 1 + opts.Rounds + 1)
	step := 0
	report := func(target, doing string) {
		if opts.Progress != nil {
			opts.Progress(Progress{Step: step, Steps: steps, Target: target, Doing: doing})
		}
		step++
	}
	recorders := make([]*recorder, opts.Concurrency)
	for i := range recorders {
		recorders[i] = newRecorder()
	}

	subjects := make([]*subject, len(targets))
	for i, target := range targets {
		report(target.Name, "first snapshots")
		subjects[i] = newSubject(i, target, opts)
		subjects[i].open(ctx)
	}
	for round := 0; round <= opts.Rounds && ctx.Err() == nil; round++ {
		doing := fmt.Sprintf("round %d of %d", round, opts.Rounds)
		if round == 0 {
			doing = "warm-up"
		}
		for _, s := range subjects {
			report(s.target.Name, doing)
			if !s.seeded || ctx.Err() != nil {
				continue
			}
			// Else a store would pay for the garbage of the one before it.
			runtime.GC()
			s.round(ctx, recorders, opts.Duration/time.Duration(opts.Rounds))
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

func (o Options) withDefaults() (Options, error) {
	invalid := func(option string, value any, allowed string) (Options, error) {
		return Options{}, fmt.Errorf("%w %s %v; allowed are %s", store.ErrInvalid, option, value, allowed)
	}
	switch {
	case o.IDs < 0:
		return invalid("IDs", o.IDs, "0 (for 200) and more")
	case o.Reads > 1 || math.IsNaN(o.Reads):
		return invalid("Reads", o.Reads, "up to 1, 0 (for 0.9) and negative shares (for none)")
	case o.Duration < 0:
		return invalid("Duration", o.Duration, "0 (for 2s) and more")
	case o.Rounds < 0:
		return invalid("Rounds", o.Rounds, "0 (for 5) and more")
	case o.Concurrency < 0:
		return invalid("Concurrency", o.Concurrency, "0 (for 8) and more")
	}
	if len(o.States) == 0 {
		o.States = Generate(o.Seed)
	}
	if o.IDs == 0 {
		o.IDs = 200
	}
	if o.Reads == 0 {
		o.Reads = 0.9
	}
	if o.Duration == 0 {
		o.Duration = 2 * time.Second
	}
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Concurrency == 0 {
		o.Concurrency = 8
	}
	return o, nil
}
