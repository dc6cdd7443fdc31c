package compress

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// workers bounds how many frames are worked on at once, over all callers: one worker
// is taken for each, and nobody who has one waits for anything else. There are as
// many as Concurrency, and callers get them in the order in which they came.
type workers struct {
	opts Options // of new ones

	mu sync.Mutex
	// idle are those that nobody has, nil standing for one that is not made yet. The
	// one given back last is taken first, being still in the processor's caches: with
	// two in turns a state of 1 KB takes 3 % longer.
	idle    []*worker
	waiting []chan *worker // callers, of whom there are none while a worker is idle
}

// newWorkers returns workers for opts, which have been checked and have their defaults.
func newWorkers(opts Options) *workers {
	return &workers{opts: opts, idle: make([]*worker, opts.Concurrency)}
}

// take waits for a worker, which give gives back.
func (p *workers) take(ctx context.Context) (*worker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	if last := len(p.idle) - 1; last >= 0 {
		w := p.idle[last]
		p.idle = p.idle[:last]
		p.mu.Unlock()
		return p.made(w)
	}
	mine := make(chan *worker, 1) // give does not wait for who may have left
	p.waiting = append(p.waiting, mine)
	p.mu.Unlock()
	select {
	case w := <-mine:
		return p.made(w)
	case <-ctx.Done():
	}
	p.mu.Lock()
	at := slices.Index(p.waiting, mine)
	if at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
	}
	p.mu.Unlock()
	if at < 0 {
		p.give(<-mine) // given in the meantime, and sent before the lock was let go of
	}
	return nil, ctx.Err()
}

// made returns w, or a new worker where that is not made yet.
func (p *workers) made(w *worker) (*worker, error) {
	if w != nil {
		return w, nil
	}
	w, err := newWorker(p.opts)
	if err != nil {
		p.give(nil)
		return nil, fmt.Errorf("compress: %w", err)
	}
	return w, nil
}

func (p *workers) give(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) > 0 {
		p.waiting[0] <- w
		p.waiting = slices.Delete(p.waiting, 0, 1)
		return
	}
	p.idle = append(p.idle, w)
}

// close ends the decoders, when all workers are idle. Encoders that are only used for
// EncodeAll hold nothing but memory.
func (p *workers) close() {
	for _, w := range p.idle {
		if w != nil {
			w.decoder.Close()
		}
	}
}
