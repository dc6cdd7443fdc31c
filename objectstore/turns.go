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
// of each snapshot that no longer counts. The zero value is ready for use.
type turns struct {
	mu  sync.Mutex
	ids map[string]*turn // those with an operation inside or waiting
}

type turn struct {
	users  int                 // operations inside or waiting; guarded by turns.mu
	writes *semaphore.Weighted // of 1
	loads  *semaphore.Weighted // of allLoads
}

const allLoads = math.MaxInt64

// load waits until the id may be loaded. The caller calls done at the end.
func (t *turns) load(ctx context.Context, id string) (done func(), err error) {
	turn := t.join(id)
	if err := turn.loads.Acquire(ctx, 1); err != nil {
		t.leave(id, turn)
		return nil, err
	}
	return func() {
		turn.loads.Release(1)
		t.leave(id, turn)
	}, nil
}

// save waits until the id may be saved. The caller calls done at the end.
func (t *turns) save(ctx context.Context, id string) (done func(), err error) {
	turn := t.join(id)
	if err := turn.writes.Acquire(ctx, 1); err != nil {
		t.leave(id, turn)
		return nil, err
	}
	return func() {
		turn.writes.Release(1)
		t.leave(id, turn)
	}, nil
}

// delete waits until snapshots of the id may be deleted. The caller calls done at
// the end.
func (t *turns) delete(ctx context.Context, id string) (done func(), err error) {
	saved, err := t.save(ctx, id)
	if err != nil {
		return nil, err
	}
	turn := t.join(id)
	if err := turn.loads.Acquire(ctx, allLoads); err != nil {
		t.leave(id, turn)
		saved()
		return nil, err
	}
	return func() {
		turn.loads.Release(allLoads)
		t.leave(id, turn)
		saved()
	}, nil
}

func (t *turns) join(id string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids == nil {
		t.ids = make(map[string]*turn)
	}
	joined := t.ids[id]
	if joined == nil {
		joined = &turn{writes: semaphore.NewWeighted(1), loads: semaphore.NewWeighted(allLoads)}
		t.ids[id] = joined
	}
	joined.users++
	return joined
}

func (t *turns) leave(id string, left *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if left.users--; left.users == 0 {
		delete(t.ids, id)
	}
}
