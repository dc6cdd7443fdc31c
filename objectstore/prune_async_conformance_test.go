package objectstore

import (
	"context"
	"runtime"
	"testing"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// pruned is a Store with PruneAsync whose Saves wait for their prunes, since the suite
// looks at once for what a prune leaves.
type pruned struct{ inner *Store }

var _ store.SnapshotStore = (*pruned)(nil)

func (p *pruned) Save(ctx context.Context, snap store.Snapshot) error {
	if err := p.inner.Save(ctx, snap); err != nil {
		return err
	}
	id := snap.PersistenceID
	for p.waiting(id) {
		runtime.Gosched()
	}
	// The prune that took the number holds the turn until it is done.
	_, done, err := p.inner.turns.save(context.Background(), id)
	if err != nil {
		return err
	}
	done()
	return nil
}

func (p *pruned) waiting(id string) bool {
	p.inner.prunes.mu.Lock()
	defer p.inner.prunes.mu.Unlock()
	_, waiting := p.inner.prunes.saved[id]
	return waiting
}

func (p *pruned) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	return p.inner.LoadLatest(ctx, id)
}

func (p *pruned) LoadBefore(ctx context.Context, id string, nr uint64) (store.Snapshot, error) {
	return p.inner.LoadBefore(ctx, id, nr)
}

func (p *pruned) Delete(ctx context.Context, id string, to uint64) error {
	return p.inner.Delete(ctx, id, to)
}

func (p *pruned) Close() error { return p.inner.Close() }

func (p *pruned) Unwrap() store.SnapshotStore { return p.inner }

func TestConformanceWithPruneAsync(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		s, err := New(NewMemoryBucket(), Options{Keep: c.Keep, PruneAsync: true})
		if err != nil {
			t.Fatal(err)
		}
		return &pruned{inner: s}
	})
}
