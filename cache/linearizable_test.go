package cache_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/store/storetest"
)

// TestLinearizable checks random histories of every stack.
func TestLinearizable(t *testing.T) {
	for name, layers := range consistentStacks {
		t.Run(name, func(t *testing.T) { checkHistories(t, 400, layers...) })
	}
}

// TestLinearizableExposesTheNaive runs the same check on each naive wrapper, in a
// process of its own, and expects it to fail there.
func TestLinearizableExposesTheNaive(t *testing.T) {
	for kind := range naive {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNaiveWrapper$", "-test.v")
			cmd.Env = append(os.Environ(), "CACHE_TEST_NAIVE="+kind)
			out, err := cmd.CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("not linearizable (seed ")) {
				t.Errorf("the histories of the naive %s passed: %v\n%s", kind, err, out)
			}
		})
	}
}

// TestNaiveWrapper is run by TestLinearizableExposesTheNaive alone.
func TestNaiveWrapper(t *testing.T) {
	kind := os.Getenv("CACHE_TEST_NAIVE")
	if kind == "" {
		t.Skip("meant for the child processes of TestLinearizableExposesTheNaive")
	}
	checkHistories(t, 5000, naive[kind]) // some need hundreds until one exposes them
}

// checkHistories checks n histories, or as many as it takes to find a wrong one.
func checkHistories(t *testing.T, n uint64, layers ...layer) {
	for seed := range n {
		synctest.Test(t, func(t *testing.T) { checkHistory(t, seed, layers...) })
		if t.Failed() {
			return
		}
	}
}

// checkHistory checks a history under random delays, faults before and after the
// effect, and contexts that end. The time of the delays is that of the bubble: it
// passes, at once, when every goroutine waits, so that the delays are the schedule.
func checkHistory(t *testing.T, seed uint64, layers ...layer) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	upTo := func(n int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Int64N(n)
	}
	disturb := func(ctx context.Context, _ string) error {
		if upTo(2) == 0 {
			timer := time.NewTimer(time.Duration(upTo(20)) * time.Millisecond)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if upTo(20) == 0 {
			return errors.New("injected")
		}
		return nil
	}
	s := over(t, &hooked{inner: newMemory(t, 0), before: disturb, after: disturb}, layers...)
	storetest.CheckLinearizable(t, s, storetest.LinearizableOptions{
		PersistenceID: "order-1",
		Clients:       4,
		Calls:         8,
		Seed:          seed,
		Context: func(ctx context.Context, random *rand.Rand) (context.Context, context.CancelFunc) {
			switch random.IntN(4) {
			case 0:
				return ctx, func() {}
			case 1:
				return context.WithoutCancel(ctx), func() {}
			}
			return context.WithTimeout(ctx, time.Duration(random.Int64N(50))*time.Millisecond)
		},
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
