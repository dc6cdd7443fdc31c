package workload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/snapstack/snapstack/store"
)

// skew is the exponent of the zipf distribution by which entities are chosen. At 1.1
// and 200 entities a fifth of all operations meet the first one, and two thirds the
// first twenty.
const skew = 1.1

// A subject is one store under test.
type subject struct {
	target   Target
	opts     Options
	store    store.SnapshotStore // nil until open succeeded
	entities []*entity
	workers  []*worker
	seeded   bool  // every entity has been saved once
	before   usage // when measuring began

	mu     sync.Mutex // guards the counts and firsts of bad reads and errors
	result Result
}

// A worker is one sequence of random choices, which continues from round to round.
type worker struct {
	rand *rand.Rand
	zipf *rand.Zipf
}

func newSubject(number int, target Target, opts Options) *subject {
	s := &subject{
		target: target,
		opts:   opts,
		result: Result{Name: target.Name, Loads: newHistogram(), Saves: newHistogram()},
	}
	for i := range opts.IDs {
		// Targets may share a backend: the number of the target keeps them apart.
		s.entities = append(s.entities, &entity{id: fmt.Sprintf("snapstack-bench-%d-%d", number+1, i), number: i})
	}
	for i := range opts.Concurrency {
		random := rand.New(rand.NewPCG(opts.Seed, uint64(i)))
		s.workers = append(s.workers, &worker{rand: random, zipf: rand.NewZipf(random, skew, 1, uint64(opts.IDs-1))})
	}
	return s
}

// open opens the store and saves the first snapshot of every entity.
func (s *subject) open(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	opened, err := s.target.Open(ctx)
	if err == nil && opened == nil {
		err = store.Wrap(store.OpOpen, "", 0, fmt.Errorf("workload: %w store: nil", store.ErrInvalid))
	}
	if err != nil {
		s.fail(ctx, err)
		return
	}
	s.store = opened
	err = s.each(ctx, func(ctx context.Context, e *entity) error {
		// What an earlier run left, having been killed, has higher numbers than this
		// one begins with.
		if err := s.store.Delete(ctx, e.id, math.MaxUint64); err != nil {
			return err
		}
		return s.save(ctx, e)
	})
	if err != nil {
		s.fail(ctx, err)
		return
	}
	s.seeded = true
	s.before = usageOf(s.store) // should ctx end before the warm-up has
}

// fail notes why the store can't be measured.
func (s *subject) fail(ctx context.Context, err error) {
	if !ended(ctx, err) {
		s.result.Err = err
	}
}

// round measures the store for a while.
func (s *subject) round(ctx context.Context, recorders []*recorder, length time.Duration) {
	begin := time.Now()
	var wg sync.WaitGroup
	for i, w := range s.workers {
		wg.Go(func() { s.work(ctx, w, recorders[i], begin.Add(length)) })
	}
	wg.Wait()
	elapsed := time.Since(begin)
	operations := -s.operations()
	for _, r := range recorders {
		r.moveTo(&s.result)
	}
	s.result.Elapsed += elapsed
	s.result.Rounds = append(s.result.Rounds, Round{Elapsed: elapsed, Operations: operations + s.operations()})
}

// operations returns how many have succeeded while measuring.
func (s *subject) operations() int64 {
	return s.result.Loads.TotalCount() + s.result.Saves.TotalCount()
}

// forget drops what was measured so far, but no error or bad read.
func (s *subject) forget() {
	s.before = usageOf(s.store)
	s.result.Elapsed = 0
	s.result.Rounds = nil
	s.result.Loads.Reset()
	s.result.Saves.Reset()
}

func (s *subject) work(ctx context.Context, w *worker, r *recorder, until time.Time) {
	for ctx.Err() == nil && time.Now().Before(until) {
		e := s.entities[w.zipf.Uint64()]
		if w.rand.Float64() < s.opts.Reads {
			if took, ok := s.load(ctx, e); ok {
				record(r.loads, took)
			}
			continue
		}
		begin := time.Now()
		err := s.save(ctx, e)
		took := time.Since(begin)
		if err != nil {
			s.failed(ctx, err)
			continue
		}
		record(r.saves, took)
	}
}

// load loads the latest snapshot of the entity and checks it. It returns how long
// the load took, and false where that failed.
func (s *subject) load(ctx context.Context, e *entity) (took time.Duration, ok bool) {
	acknowledged := e.acknowledged.Load()
	begin := time.Now()
	snap, err := s.store.LoadLatest(ctx, e.id)
	took = time.Since(begin)
	attempted := e.attempted.Load()
	found := !errors.Is(err, store.ErrNotFound)
	if err != nil && found {
		s.failed(ctx, err)
		return 0, false
	}
	if bad := e.check(s.opts.States, snap, found, acknowledged, attempted); bad != nil {
		s.bad(bad)
	}
	return took, true
}

// save saves the next snapshot of the entity. After an error it may be stored or
// not, which the check allows: the number stays attempted.
func (s *subject) save(ctx context.Context, e *entity) error {
	nr := e.attempted.Add(1)
	err := s.store.Save(ctx, store.Snapshot{PersistenceID: e.id, SequenceNr: nr, State: e.state(s.opts.States, nr)})
	if err == nil {
		e.acknowledge(nr)
	}
	return err
}

// finish reads every entity once more, looks at what is stored, deletes it, and
// closes the store. But for the reads it does so too when ctx has ended.
func (s *subject) finish(ctx context.Context) {
	if s.store == nil {
		return
	}
	var errs []error
	if s.seeded {
		s.result.Backend, s.result.Cache = usageOf(s.store).since(s.before)
		err := s.each(ctx, func(ctx context.Context, e *entity) error {
			s.load(ctx, e)
			return ctx.Err()
		})
		if !ended(ctx, err) {
			errs = append(errs, err)
		}
		errs = append(errs, s.measureStored(context.WithoutCancel(ctx)))
	}
	errs = append(errs, s.each(context.WithoutCancel(ctx), func(ctx context.Context, e *entity) error {
		return s.store.Delete(ctx, e.id, math.MaxUint64)
	}))
	errs = append(errs, s.store.Close())
	s.result.EndErr = errors.Join(errs...)
}

// measureStored compares what is stored with what was saved.
func (s *subject) measureStored(ctx context.Context) error {
	var stored, given atomic.Int64
	err := s.each(ctx, func(ctx context.Context, e *entity) error {
		for info, err := range store.List(ctx, s.store, e.id) {
			if err != nil {
				return err
			}
			stored.Add(info.StoredBytes)
			given.Add(int64(len(e.state(s.opts.States, info.SequenceNr))))
		}
		return nil
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err == nil {
		s.result.Stored = &Stored{StoredBytes: stored.Load(), StateBytes: given.Load()}
	}
	return err
}

// each calls visit with every entity, Concurrency of them at a time, until one
// fails.
func (s *subject) each(ctx context.Context, visit func(context.Context, *entity) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(s.opts.Concurrency)
	for _, e := range s.entities {
		if groupCtx.Err() != nil {
			break // a visit failed, or ctx ended
		}
		group.Go(func() error { return visit(groupCtx, e) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// failed counts an operation that failed.
func (s *subject) failed(ctx context.Context, err error) {
	if ended(ctx, err) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.Errors++
	if s.result.FirstErr == nil {
		s.result.FirstErr = err
	}
}

// bad counts a read that broke the contract.
func (s *subject) bad(bad *BadRead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bad.Stale {
		s.result.Stale++
	} else {
		s.result.Wrong++
	}
	if s.result.FirstBad == nil {
		s.result.FirstBad = bad
	}
}

// ended says whether err is no more than the end of the run.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}
