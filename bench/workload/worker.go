package workload

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// A worker is one sequence of random choices, which continues from round to round.
type worker struct {
	rand *rand.Rand
	zipf *rand.Zipf // nil to choose evenly
}

func newWorker(opts Options, number int) *worker {
	w := &worker{rand: rand.New(rand.NewPCG(opts.Seed, uint64(number)))}
	if opts.Skew > 0 {
		w.zipf = rand.NewZipf(w.rand, opts.Skew, 1, uint64(opts.IDs-1))
	}
	return w
}

// choose returns the number of an entity, below n.
func (w *worker) choose(n int) int {
	if w.zipf == nil {
		return w.rand.IntN(n)
	}
	return int(w.zipf.Uint64())
}

// A turn is what the workers share in one round.
type turn struct {
	begin, until time.Time
	rate         float64 // of the open loop; 0 for the closed one
	next         atomic.Int64
}

// due waits until the next operation is due and returns when that was to be, the zero
// time in a closed loop; false when the turn is over. Where the workers are all late,
// it returns at once, with the moment that has passed.
func (t *turn) due(ctx context.Context) (time.Time, bool) {
	if t.rate == 0 {
		return time.Time{}, ctx.Err() == nil && time.Now().Before(t.until)
	}
	at := t.begin.Add(time.Duration(float64(t.next.Add(1)-1) / t.rate * float64(time.Second)))
	if !at.Before(t.until) || ctx.Err() != nil {
		return at, false
	}
	wait := time.Until(at)
	if wait <= 0 {
		return at, true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return at, true
	case <-ctx.Done():
		return at, false
	}
}

// work does what the scenario says until the turn is over.
func (s *subject) work(ctx context.Context, w *worker, r *recorder, t *turn) {
	if s.opts.Scenario == Recovery {
		s.recover(ctx, r, t)
		return
	}
	for {
		due, ok := t.due(ctx)
		if !ok {
			return
		}
		slot := w.choose(len(s.entities))
		switch s.opts.Scenario {
		case Steady:
			s.wake(ctx, w, r, slot, due)
		case Churn:
			s.come(ctx, w, r, slot, due)
		default:
			s.any(ctx, w, r, slot, due)
		}
	}
}

// any loads or saves an entity.
func (s *subject) any(ctx context.Context, w *worker, r *recorder, slot int, due time.Time) {
	e := s.entities[slot].Load()
	if w.rand.Float64() < s.opts.Reads {
		s.loaded(ctx, r, e, due)
	} else {
		s.saved(ctx, r, e, due)
	}
}

// wake loads an entity and lets it handle events, after every few of which it is saved.
func (s *subject) wake(ctx context.Context, w *worker, r *recorder, slot int, due time.Time) {
	e := s.entities[slot].Load()
	s.loaded(ctx, r, e, due)
	for range w.rand.IntN(2 * s.opts.Every) {
		if ctx.Err() != nil {
			return
		}
		if e.events.Add(1)%int64(s.opts.Every) == 0 {
			s.saved(ctx, r, e, time.Time{})
		}
	}
}

// come loads or saves an entity, or lets another one take its place.
func (s *subject) come(ctx context.Context, w *worker, r *recorder, slot int, due time.Time) {
	choice := w.rand.Float64()
	if choice < s.opts.Reads || choice < (1+s.opts.Reads)/2 {
		e := s.entities[slot].Load()
		if choice < s.opts.Reads {
			s.loaded(ctx, r, e, due)
		} else {
			s.saved(ctx, r, e, due)
		}
		return
	}
	old, successor := s.entities[slot].Load(), s.newEntity()
	if !s.saved(ctx, r, successor, due) {
		s.mu.Lock()
		s.left = append(s.left, successor) // it may be there all the same
		s.mu.Unlock()
		return
	}
	if !s.entities[slot].CompareAndSwap(old, successor) {
		s.remove(ctx, successor) // another worker was first
		return
	}
	s.remove(ctx, old)
}

// recover loads every entity once, the workers sharing them.
func (s *subject) recover(ctx context.Context, r *recorder, t *turn) {
	for ctx.Err() == nil {
		i := int(t.next.Add(1) - 1)
		if i >= len(s.entities) {
			return
		}
		s.loaded(ctx, r, s.entities[i].Load(), time.Time{})
	}
}

// loaded loads an entity and records it, from when it was due if that is not zero.
func (s *subject) loaded(ctx context.Context, r *recorder, e *entity, due time.Time) {
	begin, end, bytes, ok := s.load(ctx, e)
	if !ok {
		return
	}
	if !due.IsZero() {
		begin = due
	}
	r.load(bytes, end.Sub(begin), end)
}

// saved saves an entity and records it, from when it was due if that is not zero. It
// returns false where nothing was saved.
func (s *subject) saved(ctx context.Context, r *recorder, e *entity, due time.Time) bool {
	e.gone.RLock()
	defer e.gone.RUnlock()
	if e.deleted {
		return false
	}
	late := time.Duration(0)
	if !due.IsZero() {
		late = time.Since(due)
	}
	took, bytes, err := s.save(ctx, e)
	if err != nil {
		s.failed(ctx, err)
		return false
	}
	r.save(bytes, late+took, time.Now())
	return true
}
