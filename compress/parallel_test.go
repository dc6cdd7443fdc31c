package compress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestEachCallsEveryFrameOnce(t *testing.T) {
	for _, limit := range []int{1, 2, 7} {
		for _, n := range []int{0, 1, 2, 3, 50} {
			calls := make([]atomic.Int32, n)
			err := workersOf(limit).each(t.Context(), n, func(_ *worker, i int) error {
				calls[i].Add(1)
				return nil
			})
			if err != nil {
				t.Errorf("each of %d by %d workers: %v", n, limit, err)
			}
			for i := range calls {
				if got := calls[i].Load(); got != 1 {
					t.Errorf("each of %d by %d workers called frame %d %d times", n, limit, i, got)
				}
			}
		}
	}
}

func TestEachIsBoundedOverAllCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		s := workersOf(limit)
		var running atomic.Int32
		goOn := make(chan struct{})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				err := s.each(t.Context(), 4, func(*worker, int) error {
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
		if len(s.idle) != limit {
			t.Errorf("%d workers are idle; want %d", len(s.idle), limit)
		}
	})
}

func TestEachReturnsTheFirstErrorWhenNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workersOf(4)
		want := errors.New("no good")
		fail, goOn := make(chan struct{}), make(chan struct{})
		var begun, ended atomic.Int32
		done := make(chan error, 1)
		go func() {
			done <- s.each(t.Context(), 100, func(_ *worker, i int) error {
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
		s := workersOf(1)
		w, err := s.take(t.Context()) // somebody works on a frame
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 10} {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- s.each(ctx, n, func(*worker, int) error { t.Error("called without a worker"); return nil })
			}()
			synctest.Wait()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("each of %d: %v; want context.Canceled", n, err)
			}
		}
		s.give(w)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = s.each(ctx, 10, func(*worker, int) error { t.Error("called after ctx ended"); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("each with an ended context: %v", err)
		}
	})
}

func TestEachPassesAPanicOn(t *testing.T) {
	for _, n := range []int{1, 2, 20} {
		s := workersOf(3)
		var running atomic.Int32
		func() {
			defer func() {
				p := recover()
				if text, ok := p.(string); !ok || !strings.Contains(text, "no good") {
					t.Errorf("each of %d: panic %v; want one that says what happened", n, p)
				}
				if running.Load() != 0 || len(s.idle) != 3 {
					t.Errorf("each of %d ended with %d calls running and %d workers idle; want 0 and 3", n, running.Load(), len(s.idle))
				}
			}()
			_ = s.each(t.Context(), n, func(_ *worker, i int) error {
				running.Add(1)
				defer running.Add(-1)
				panic("no good")
			})
			t.Errorf("each of %d returned", n)
		}()
		if err := s.each(t.Context(), 3, func(*worker, int) error { return nil }); err != nil {
			t.Errorf("each after a panic: %v", err)
		}
	}
}

// Who comes first is served first; who leaves is passed over, and what was given to one
// who leaves goes to the next.
func TestWorkersAreGivenInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workersOf(1)
		w, err := s.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		var leave [4]context.CancelFunc
		var wg sync.WaitGroup
		for i := range leave {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			leave[i] = cancel
			wg.Go(func() {
				w, err := s.take(ctx)
				if err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("take: %v", err)
					}
					return
				}
				order = append(order, i)
				s.give(w)
			})
			synctest.Wait()
		}
		leave[1]()
		synctest.Wait()
		s.give(w)
		wg.Wait()
		if !slices.Equal(order, []int{0, 2, 3}) {
			t.Errorf("served in the order %v; want 0, 2, 3", order)
		}
		if len(s.idle) != 1 || len(s.waiting) != 0 {
			t.Errorf("%d workers idle and %d callers waiting at the end", len(s.idle), len(s.waiting))
		}
	})
}

// A worker given to a caller whose context ends at the same moment is not lost.
func TestNoWorkerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := workersOf(1)
		for range 200 {
			w, err := s.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				if w, err := s.take(ctx); err == nil {
					s.give(w)
				}
			})
			synctest.Wait()
			cancel()
			s.give(w) // most often before the caller has found out
			wg.Wait()
		}
		if len(s.idle) != 1 || len(s.waiting) != 0 {
			t.Errorf("%d workers idle and %d callers waiting at the end; want 1 and 0", len(s.idle), len(s.waiting))
		}
	})
}

func workersOf(n int) *workers { return newWorkers(Options{Concurrency: n}.withDefaults()) }

// BenchmarkSmallStates shows what the bound and the way to frames cost a state of 1 KB,
// which is one frame: encoding and decoding it to a bare call, in turns.
func BenchmarkSmallStates(b *testing.B) {
	c, err := newCodec(Options{}.withDefaults())
	if err != nil {
		b.Fatal(err)
	}
	defer c.close()
	var state []byte
	for i := 0; len(state) < 1000; i++ {
		state = fmt.Appendf(state, `{"id":%d,"name":"user %d","balance":%d},`, i, i*7919%1000, i*104729%100000)
	}
	ctx := b.Context()
	stored, _, err := c.encode(ctx, state) // whose buffer is not used again
	if err != nil {
		b.Fatal(err)
	}
	parsed, err := c.parse(stored, make([]frame, 1))
	if err != nil {
		b.Fatal(err)
	}
	w, err := newWorker(c.workers.opts)
	if err != nil {
		b.Fatal(err)
	}
	room := make([]byte, 0, 2*len(state))
	for name, turn := range map[string]struct{ ours, bare func() error }{
		"encode": {
			func() error {
				_, buffer, err := c.encode(ctx, state)
				c.buffers.put(buffer)
				return err
			},
			func() error { room = w.encoder.EncodeAll(state, room[:0]); return nil },
		},
		"decode": {
			func() error { return c.decode(ctx, parsed, room[:parsed.size]) },
			func() error { _, err := w.decoder.DecodeAll(parsed.frames[0].encoded, room[:0]); return err },
		},
	} {
		b.Run(name, func(b *testing.B) {
			timed := func(f func() error) float64 {
				start := time.Now()
				for range 50 {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
				return float64(time.Since(start))
			}
			var ratios []float64
			for b.Loop() {
				ratios = append(ratios, timed(turn.ours)/timed(turn.bare))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "to-bare")
			b.ReportMetric(0, "ns/op") // of a pair, which says nothing
		})
	}
}
