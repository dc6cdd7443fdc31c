package compress

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// slots bounds how many frames are worked on at once, over all callers: one slot
// is held for each, and never while waiting for anything else. The capacity of the
// channel is the bound.
type slots chan struct{}

// each calls work with 0 to n-1, in parallel where slots are free, and returns the
// first error. When it returns no call is running, and none begins after an error
// or after ctx ended. A panic of work ends in a panic of each.
func (s slots) each(ctx context.Context, n int, work func(i int) error) error {
	var (
		next     atomic.Int64
		wg       sync.WaitGroup
		once     sync.Once
		firstErr error
		panicked any
	)
	stop := func(err error, p any) {
		next.Store(int64(n))
		once.Do(func() { firstErr, panicked = err, p })
	}
	run := func() {
		defer func() {
			// In a goroutine of ours a panic would end the process, and nobody who called
			// this package could recover it.
			if p := recover(); p != nil {
				stop(nil, fmt.Sprintf("compress: panic while working on a frame: %v\n\n%s", p, debug.Stack()))
			}
		}()
		for {
			i := int(next.Add(1) - 1)
			if i >= n {
				return
			}
			if err := s.one(ctx, i, work); err != nil {
				stop(err, nil)
				return
			}
		}
	}
	for range min(n, cap(s)) - 1 {
		wg.Go(run)
	}
	run()
	wg.Wait()
	if panicked != nil {
		panic(panicked)
	}
	return firstErr
}

// one calls work with i when a slot is free.
func (s slots) one(ctx context.Context, i int, work func(i int) error) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	return work(i)
}

// take waits for a slot, which give gives back.
func (s slots) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err // where a slot is free as well, select would choose either
	}
	select {
	case s <- struct{}{}: // by itself this takes a quarter of the time
		return nil
	default:
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) give() { <-s }
