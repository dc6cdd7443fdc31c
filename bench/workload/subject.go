package workload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

// A subject is one store under test.
type subject struct {
	number   int // of the target, from 1
	target   Target
	opts     Options
	source   *source
	store    store.SnapshotStore // nil until open succeeded
	entities []atomic.Pointer[entity]
	born     atomic.Int64 // entities so far
	workers  []*worker
	seeded   bool // every entity has been saved once

	probes []probe
	before usage // when measuring began

	owned     int64 // bytes that the heap holds because of the store, after its last turn
	loadBytes int64
	saveBytes int64

	mu     sync.Mutex // guards the counts and firsts of bad reads and errors, and left
	left   []*entity  // that could not be deleted
	result Result
}

// usage is what the layers of a store have counted since it was opened.
type usage struct {
	layers   []reading
	requests objectstore.Stats
}

func newSubject(number int, target Target, opts Options, source *source) *subject {
	s := &subject{
		number:   number + 1,
		target:   target,
		opts:     opts,
		source:   source,
		entities: make([]atomic.Pointer[entity], opts.IDs),
		result:   Result{Name: target.Name, Loads: newHistogram(), Saves: newHistogram()},
	}
	for i := range s.entities {
		s.entities[i].Store(s.newEntity())
	}
	for i := range opts.Concurrency {
		s.workers = append(s.workers, newWorker(opts, i))
	}
	return s
}

// newEntity returns an entity that nothing was saved of.
func (s *subject) newEntity() *entity {
	n := s.born.Add(1) - 1
	return &entity{id: s.idPrefix() + strconv.FormatInt(n, 10), number: int(n)}
}

// idPrefix returns what the ids of the entities begin with, before their number. Targets
// may share a backend: the number of the target keeps them apart.
func (s *subject) idPrefix() string { return fmt.Sprintf("snapstack-bench-%d-", s.number) }

// open opens the store and saves the first snapshot of every entity.
func (s *subject) open(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	before := heapNow()
	opened, err := s.target.Open(ctx)
	if err == nil && opened == nil {
		err = store.Wrap(store.OpOpen, "", 0, fmt.Errorf("workload: %w store: nil", store.ErrInvalid))
	}
	if err != nil {
		s.fail(ctx, err)
		return
	}
	s.store = opened
	s.probes = probesOf(opened)
	err = s.each(ctx, func(ctx context.Context, e *entity) error {
		// What an earlier run left, having been killed, has higher numbers than this
		// one begins with.
		if err := s.store.Delete(ctx, e.id, math.MaxUint64); err != nil {
			return err
		}
		_, _, err := s.save(ctx, e)
		return err
	})
	if err != nil {
		s.fail(ctx, err)
		return
	}
	s.seeded = true
	s.owned = heapNow() - before
	s.before = s.usage() // should ctx end before the warm-up has
}

// fail notes why the store can't be measured.
func (s *subject) fail(ctx context.Context, err error) {
	if !ended(ctx, err) {
		s.result.Err = err
	}
}

// usage returns what the layers have counted.
func (s *subject) usage() usage {
	var u usage
	for _, p := range s.probes {
		u.layers = append(u.layers, p.read())
	}
	if o, ok := store.As[*objectstore.Store](s.store); ok {
		u.requests = o.Stats()
	}
	return u
}

// round measures the store for a while.
func (s *subject) round(ctx context.Context, recorders []*recorder, length time.Duration) {
	if s.opts.Scenario == Recovery {
		s.coolDown()
	}
	// Else a store would pay for the garbage of the one before it.
	heap := heapNow()
	before := resourcesNow()
	watch := watchHeap()
	begin := time.Now()
	binLength := max(length/20, time.Millisecond)
	turn := &turn{begin: begin, until: begin.Add(length), rate: s.opts.Rate}
	var wg sync.WaitGroup
	for i, w := range s.workers {
		recorders[i].start(begin, binLength)
		wg.Go(func() { s.work(ctx, w, recorders[i], turn) })
	}
	wg.Wait()
	elapsed := time.Since(begin)
	most := watch.end()
	after := resourcesNow()

	operations := -s.operations()
	round := len(s.result.Rounds) + 1
	var bins []int64
	for _, r := range recorders {
		s.result.Loads.Merge(r.loads) // drops nothing: the ranges are the same
		s.result.Saves.Merge(r.saves)
		s.loadBytes += r.loadBytes
		s.saveBytes += r.saveBytes
		for i, n := range r.bins {
			if i == len(bins) {
				bins = append(bins, 0)
			}
			bins[i] += n
		}
	}
	for i, n := range bins {
		bin := Bin{Round: round, Length: min(binLength, elapsed-time.Duration(i)*binLength), Operations: n}
		if bin.Length <= 0 && i > 0 { // an operation that ended with the round
			s.result.Timeline[len(s.result.Timeline)-1].Operations += n
			continue
		}
		bin.End = s.result.Elapsed + time.Duration(i)*binLength + bin.Length
		s.result.Timeline = append(s.result.Timeline, bin)
	}
	s.result.Elapsed += elapsed
	s.result.CPU += after.cpu - before.cpu
	s.result.Allocs += after.allocs - before.allocs
	s.result.AllocBytes += after.allocBytes - before.allocBytes
	s.result.PeakBytes = max(s.result.PeakBytes, s.owned+int64(most)-heap)
	s.owned += heapNow() - heap
	s.result.Rounds = append(s.result.Rounds, Round{Elapsed: elapsed, Operations: operations + s.operations(), CPU: after.cpu - before.cpu})
}

// heapNow returns the bytes that the heap holds, without garbage.
func heapNow() int64 {
	runtime.GC()
	return int64(resourcesNow().objectBytes)
}

// coolDown empties the caches of the store, as a restart of the process would.
func (s *subject) coolDown() {
	for _, p := range s.probes {
		if c, ok := p.store.(*cache.Cache); ok {
			c.Purge()
		}
	}
}

// operations returns how many have succeeded while measuring.
func (s *subject) operations() int64 {
	return s.result.Loads.TotalCount() + s.result.Saves.TotalCount()
}

// forget drops what was measured so far, but no error or bad read.
func (s *subject) forget() {
	s.before = s.usage()
	s.loadBytes, s.saveBytes = 0, 0
	r := &s.result
	r.Elapsed, r.Rounds, r.Timeline = 0, nil, nil
	r.CPU, r.Allocs, r.AllocBytes, r.PeakBytes = 0, 0, 0, 0
	r.Loads.Reset()
	r.Saves.Reset()
}

// load loads the latest snapshot of the entity and checks it. It returns when the load
// began and ended and the bytes it gave, and false where it failed.
func (s *subject) load(ctx context.Context, e *entity) (begin, end time.Time, bytes int, ok bool) {
	acknowledged := e.acknowledged.Load()
	begin = time.Now()
	snap, err := s.store.LoadLatest(ctx, e.id)
	end = time.Now()
	attempted := e.attempted.Load()
	found := !errors.Is(err, store.ErrNotFound)
	if err != nil && found {
		s.failed(ctx, err)
		return begin, end, 0, false
	}
	if bad := e.check(s.source, snap, found, acknowledged, attempted); bad != nil {
		s.bad(bad)
	}
	return begin, end, len(snap.State), true
}

// save saves the next snapshot of the entity, and returns how long that took and its
// bytes. After an error it may be stored or not, which the check allows: the number stays
// attempted.
func (s *subject) save(ctx context.Context, e *entity) (took time.Duration, bytes int, err error) {
	nr := e.attempted.Add(1)
	s.source.use(e, nr, func(state []byte) {
		bytes = len(state)
		begin := time.Now()
		err = s.store.Save(ctx, store.Snapshot{PersistenceID: e.id, SequenceNr: nr, State: state})
		took = time.Since(begin)
	})
	if err == nil {
		e.acknowledge(nr)
	}
	return took, bytes, err
}

// remove deletes an entity for good, and checks that nothing is left.
func (s *subject) remove(ctx context.Context, e *entity) {
	e.leaving.Store(true)
	e.gone.Lock()
	defer e.gone.Unlock()
	e.deleted = true
	if err := s.store.Delete(ctx, e.id, math.MaxUint64); err != nil {
		s.failed(ctx, err)
		s.mu.Lock()
		s.left = append(s.left, e)
		s.mu.Unlock()
		return
	}
	snap, err := s.store.LoadLatest(ctx, e.id)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		s.failed(ctx, err)
	default:
		s.bad(&BadRead{PersistenceID: e.id, Acknowledged: e.acknowledged.Load(), Attempted: e.attempted.Load(), SequenceNr: snap.SequenceNr, Stale: true,
			Problem: fmt.Sprintf("gave number %d, but everything was deleted before the load began", snap.SequenceNr)})
	}
}

// finish reads every entity once more, looks at what is stored, deletes it, and
// closes the store. But for the reads it does so too when ctx has ended.
func (s *subject) finish(ctx context.Context) {
	if s.store == nil {
		return
	}
	var errs []error
	if s.seeded {
		total := LayerUse{Loads: s.result.Loads.TotalCount(), Saves: s.result.Saves.TotalCount(), LoadBytes: s.loadBytes, SaveBytes: s.saveBytes}
		s.result.Layers = layersSince(s.probes, s.before.layers, total)
		if o, ok := store.As[*objectstore.Store](s.store); ok {
			now, before := o.Stats(), s.before.requests
			s.result.Requests = &objectstore.Stats{Lists: now.Lists - before.Lists, Gets: now.Gets - before.Gets, Puts: now.Puts - before.Puts, Deletes: now.Deletes - before.Deletes}
		}
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
			given.Add(int64(s.source.size(e, info.SequenceNr)))
		}
		return nil
	})
	if err == nil {
		err = s.addBases(ctx, &stored)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err == nil {
		s.result.Stored = &Stored{StoredBytes: stored.Load(), StateBytes: given.Load()}
	}
	return err
}

// addBases adds what the bases of Deltas take, which these do not list: they stand in the
// store beneath, under ids that begin with those of the entities.
func (s *subject) addBases(ctx context.Context, stored *atomic.Int64) error {
	for _, beneath := range beneathDeltas(s.store) {
		for info, err := range store.List(ctx, beneath, "") {
			if err != nil {
				return err
			}
			rest, ours := strings.CutPrefix(info.PersistenceID, s.idPrefix())
			if _, err := strconv.Atoi(rest); ours && err != nil { // an entity's own has a number there
				stored.Add(info.StoredBytes)
			}
		}
	}
	return nil
}

// beneathDeltas returns what stands beneath all wrappers, where a Delta is one of them.
func beneathDeltas(s store.SnapshotStore) []store.SnapshotStore {
	under := false
	for {
		w, ok := s.(store.Wrapper)
		if !ok {
			break
		}
		if _, ok := w.(*compress.Delta); ok {
			under = true
		}
		s = w.Unwrap()
	}
	if under {
		return []store.SnapshotStore{s}
	}
	var all []store.SnapshotStore
	if route, ok := s.(*store.Route); ok {
		for _, routed := range route.Stores() {
			all = append(all, beneathDeltas(routed)...)
		}
	}
	return all
}

// each calls visit with every entity, Concurrency of them at a time, until one
// fails.
func (s *subject) each(ctx context.Context, visit func(context.Context, *entity) error) error {
	all := slices.Clone(s.left) // what could not be deleted is there as well
	for i := range s.entities {
		all = append(all, s.entities[i].Load())
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(s.opts.Concurrency)
	for _, e := range all {
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
