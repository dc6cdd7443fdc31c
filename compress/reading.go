package compress

import (
	"context"
	"sync"

	"github.com/snapstack/snapstack/store"
)

// A reading is one load of the latest snapshot that looks at it in place, in the memory
// that the store beneath lends. It is used again, with visit made once: a closure in
// its stead costs two allocations, and with their share of garbage collection a tenth
// of the time that 1 KB takes to decode.
type reading struct {
	store *Store
	visit func(stored store.Snapshot) error // see look

	ctx     context.Context
	view    func(store.Snapshot) error // nil to have a copy in snap
	viewErr error
	snap    store.Snapshot
}

// readings is a pool of them. The zero value is ready for use.
type readings struct{ pool sync.Pool }

// get returns a reading of s, to be put back when its results are out of it.
func (p *readings) get(ctx context.Context, s *Store, view func(store.Snapshot) error) *reading {
	r, ok := p.pool.Get().(*reading)
	if !ok {
		r = &reading{store: s}
		r.visit = r.look
	}
	r.ctx, r.view = ctx, view
	return r
}

func (p *readings) put(r *reading) {
	r.ctx, r.view, r.viewErr, r.snap = nil, nil, nil, store.Snapshot{} // they are the caller's
	p.pool.Put(r)
}

// look decodes what is stored, for view or into a copy.
func (r *reading) look(stored store.Snapshot) error {
	var err error
	if r.view == nil {
		r.snap, err = r.store.decoded(r.ctx, store.OpLoadLatest, stored)
		return err
	}
	buffer, err := r.store.lend(r.ctx, &stored)
	if err != nil {
		return err
	}
	r.viewErr = r.view(stored)
	if buffer != nil {
		r.store.codec.buffers.put(buffer) // after a panic of view it is lost, as r is
	}
	return nil
}
