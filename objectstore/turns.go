package objectstore

import (
	"context"
	"math"
	"sync"

	"golang.org/x/sync/semaphore"
)

// turns makes the operations on an id wait where their requests must not mix:
//
//   - a write, which is a Save with its prune or a Delete, excludes the other
//     writes. A prune or Delete removes what it has listed: if a Save of one of
//     those numbers came in between, what it had just acknowledged would go.
//   - a Delete excludes loads too. It takes several steps, and a load must not see
//     the newest snapshot gone and an older one still there.
//
// Loads go on during a Save and its prune: a put is one step, and so is the removal
// of each snapshot that no longer counts. They are only told of the puts, see
// loadTurn. The zero value is ready for use.
type turns struct {
	mu  sync.Mutex
	ids map[string]*idTurns // those with an operation inside or waiting
}

// idTurns are the turns of one id.
type idTurns struct {
	users  int                    // operations inside or waiting; guarded by turns.mu
	inside map[*loadTurn]struct{} // loads inside; guarded by turns.mu
	writes *semaphore.Weighted    // of 1
	loads  *semaphore.Weighted    // of allLoads
}

const allLoads = math.MaxInt64

// save waits until the id may be saved, and returns what to call after the put,
// whatever became of it, and what to call at the end.
func (t *turns) save(ctx context.Context, id string) (put func(sequenceNr uint64), done func(), err error) {
	of := t.join(id)
	if err := of.writes.Acquire(ctx, 1); err != nil {
		t.leave(id, of)
		return nil, nil, err
	}
	put = func(sequenceNr uint64) {
		t.mu.Lock()
		defer t.mu.Unlock()
		for load := range of.inside {
			if sequenceNr < load.below {
				load.above = max(load.above, sequenceNr+1)
			}
		}
	}
	done = func() {
		of.writes.Release(1)
		t.leave(id, of)
	}
	return put, done, nil
}

// delete waits until snapshots of the id may be deleted. The caller calls done at
// the end.
func (t *turns) delete(ctx context.Context, id string) (done func(), err error) {
	of := t.join(id)
	if err := of.writes.Acquire(ctx, 1); err != nil {
		t.leave(id, of)
		return nil, err
	}
	if err := of.loads.Acquire(ctx, allLoads); err != nil {
		of.writes.Release(1)
		t.leave(id, of)
		return nil, err
	}
	return func() {
		of.loads.Release(allLoads)
		of.writes.Release(1)
		t.leave(id, of)
	}, nil
}

// A loadTurn is the turn of a load. It tells which listings are good for nothing: those
// that miss a snapshot put while they ran.
//
// A service need not list all keys as of one moment. With 5 the newest and a Keep of
// 1, a listing may have passed the place of 6 before Save(6) put it there, and come
// to that of 5 when the prune had removed it: it shows nothing, though at no moment
// there was nothing. Or Save(6) and then Save(4) return while it runs, and it shows 4
// as the newest but not 6.
type loadTurn struct {
	turns *turns
	id    string
	of    *idTurns
	below uint64 // the bound of the load

	above uint64 // 1 more than the highest number below the bound put since listing was called; guarded by turns.mu
}

// load waits until the id may be loaded. The caller calls done on the turn at the
// end.
func (t *turns) load(ctx context.Context, id string, below uint64) (*loadTurn, error) {
	of := t.join(id)
	if err := of.loads.Acquire(ctx, 1); err != nil {
		t.leave(id, of)
		return nil, err
	}
	turn := &loadTurn{turns: t, id: id, of: of, below: below}
	t.mu.Lock()
	defer t.mu.Unlock()
	of.inside[turn] = struct{}{}
	return turn, nil
}

// listing is called ahead of a listing.
func (l *loadTurn) listing() {
	l.turns.mu.Lock()
	defer l.turns.mu.Unlock()
	l.above = 0
}

// missed says whether a listing that shows nothing from the number first on misses a
// snapshot that was put while it ran.
func (l *loadTurn) missed(first uint64) bool {
	l.turns.mu.Lock()
	defer l.turns.mu.Unlock()
	return l.above > first
}

func (l *loadTurn) done() {
	l.turns.mu.Lock()
	delete(l.of.inside, l)
	l.turns.mu.Unlock()
	l.of.loads.Release(1)
	l.turns.leave(l.id, l.of)
}

func (t *turns) join(id string) *idTurns {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids == nil {
		t.ids = make(map[string]*idTurns)
	}
	of := t.ids[id]
	if of == nil {
		of = &idTurns{
			inside: make(map[*loadTurn]struct{}),
			writes: semaphore.NewWeighted(1),
			loads:  semaphore.NewWeighted(allLoads),
		}
		t.ids[id] = of
	}
	of.users++
	return of
}

func (t *turns) leave(id string, of *idTurns) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if of.users--; of.users == 0 {
		delete(t.ids, id)
	}
}
