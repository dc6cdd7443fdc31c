package compress

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestEachCallsEveryFrameOnce(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		for _, n := range []int{0, 1, 2, 3, 50} {
			calls := make([]atomic.Int32, n)
			err := make(slots, limit).each(t.Context(), n, func(i int) error {
				calls[i].Add(1)
				return nil
			})
			if err != nil {
				t.Errorf("each of %d in %d slots: %v", n, limit, err)
			}
			for i := range calls {
				if got := calls[i].Load(); got != 1 {
					t.Errorf("each of %d in %d slots called frame %d %d times", n, limit, i, got)
				}
			}
		}
	}
}

func TestEachIsBoundedOverAllCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		s := make(slots, limit)
		var running atomic.Int32
		goOn := make(chan struct{})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				err := s.each(t.Context(), 4, func(int) error {
					if got := running.Add(1); got > limit {
						t.Errorf("%d frames at once", got)
					}
					<-goOn
					running.Add(-1)
					return nil
				})
				if err != nil {
					t.Errorf("each: %v", err)
				}
			})
		}
		synctest.Wait()
		if got := running.Load(); got != limit {
			t.Errorf("%d frames at once; want %d", got, limit)
		}
		close(goOn)
		wg.Wait()
		if len(s) != 0 {
			t.Errorf("%d slots still held", len(s))
		}
	})
}

func TestEachReturnsTheFirstErrorWhenNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := make(slots, 4)
		want := errors.New("no good")
		fail, goOn := make(chan struct{}), make(chan struct{})
		var begun, ended atomic.Int32
		done := make(chan error, 1)
		go func() {
			done <- s.each(t.Context(), 100, func(i int) error {
				begun.Add(1)
				defer ended.Add(1)
				if i == 1 {
					<-fail
					return want
				}
				<-goOn
				return nil
			})
		}()
		synctest.Wait()
		close(fail)
		synctest.Wait()
		select {
		case <-done:
			t.Error("each returned while calls were running")
		default:
		}
		close(goOn)
		if err := <-done; err != want {
			t.Errorf("each: %v; want %v", err, want)
		}
		if begun.Load() != 4 || ended.Load() != 4 {
			t.Errorf("%d calls began and %d ended; want the 4 that ran beside the one that failed", begun.Load(), ended.Load())
		}
	})
}

func TestEachObeysItsContextWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := make(slots, 1)
		s <- struct{}{} // somebody works on a frame
		for _, n := range []int{1, 10} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- s.each(ctx, n, func(int) error { t.Error("called without a slot"); return nil })
			}()
			synctest.Wait()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("each of %d: %v; want context.Canceled", n, err)
			}
		}
		<-s
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.each(ctx, 10, func(int) error { t.Error("called after ctx ended"); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("each with an ended context: %v", err)
		}
	})
}

func TestEachPassesAPanicOn(t *testing.T) {
	for _, n := range []int{1, 2, 20} {
		s := make(slots, 3)
		var running atomic.Int32
		func() {
			defer func() {
				p := recover()
				if text, ok := p.(string); !ok || !strings.Contains(text, "no good") {
					t.Errorf("each of %d: panic %v; want one that says what happened", n, p)
				}
				if running.Load() != 0 || len(s) != 0 {
					t.Errorf("each of %d ended with %d calls running and %d slots held", n, running.Load(), len(s))
				}
			}()
			_ = s.each(t.Context(), n, func(i int) error {
				running.Add(1)
				defer running.Add(-1)
				panic("no good")
			})
			t.Errorf("each of %d returned", n)
		}()
		if err := s.each(t.Context(), 3, func(int) error { return nil }); err != nil {
			t.Errorf("each after a panic: %v", err)
		}
	}
}
