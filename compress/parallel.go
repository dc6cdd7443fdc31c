package compress

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// each calls work with 0 to n-1, in parallel where workers are idle, and returns the
// first error. When it returns no call is running, and none begins after an error
// or after ctx ended. A panic of work ends in a panic of each.
func (p *workers) each(ctx context.Context, n int, work func(w *worker, i int) error) error {
	var (
		next     atomic.Int64
		wg       sync.WaitGroup
		once     sync.Once
		firstErr error
		panicked any
	)
	stop := func(err error, panicking any) {
		next.Store(int64(n))
		once.Do(func() { firstErr, panicked = err, panicking })
	}
	run := func() {
		defer func() {
			// In a goroutine of ours a panic would end the process, and nobody who called
			// this package could recover it.
			if r := recover(); r != nil {
				stop(nil, fmt.Sprintf("compress: panic while working on a frame: %v\n\n%s", r, debug.Stack()))
			}
		}()
		for {
			i := int(next.Add(1) - 1)
			if i >= n {
				return
			}
			if err := p.one(ctx, i, work); err != nil {
				stop(err, nil)
				return
			}
		}
	}
	for range min(n, p.opts.Concurrency) - 1 {
		wg.Go(run)
	}
	run()
	wg.Wait()
	if panicked != nil {
		panic(panicked)
	}
	return firstErr
}

// one calls work with i when there is a worker for it.
func (p *workers) one(ctx context.Context, i int, work func(w *worker, i int) error) error {
	w, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer p.give(w)
	return work(w, i)
}
