package stack_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance runs the whole contract over stacks: each layer on its own is in
// its package's tests, so here are the orders that people use and those that they
// shouldn't but may. BACKEND stands for a backend that keeps as many snapshots as
// the clause asks for, or all where a delta sees to that, as KEEP says.
func TestConformance(t *testing.T) {
	memory := func(_ *testing.T, keep int) string { return fmt.Sprintf("memory(keep=%d)", keep) }
	sqlite := func(t *testing.T, keep int) string {
		return fmt.Sprintf("sqlite(path=%q,keep=%d)", filepath.Join(t.TempDir(), "snapshots.db"), keep)
	}
	directory := func(t *testing.T, keep int) string {
		return fmt.Sprintf("objectstore(url=%q,prefix=snapshots/,keep=%d)", "file://"+filepath.ToSlash(t.TempDir()), keep)
	}
	bucket := func(_ *testing.T, keep int) string { return fmt.Sprintf("objectstore(url=mem://,keep=%d)", keep) }

	routed := func(first, second func(*testing.T, int) string) func(*testing.T, int) string {
		return func(t *testing.T, keep int) string {
			return fmt.Sprintf("route(%q=%q,order-=%q)", "", first(t, keep), "zstd | "+second(t, keep))
		}
	}

	const delta = "delta(min=0,share=1,deltas=3,keep=KEEP)"
	t.Setenv("SNAPSTACK_TEST_KEYS", "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	for _, c := range []struct {
		wrappers string
		backends map[string]func(t *testing.T, keep int) string
	}{
		// Those that bench ships, but for the backends alone.
		{"cache | singleflight | zstd | BACKEND", map[string]func(*testing.T, int) string{"memory": memory, "sqlite": sqlite, "directory": directory, "bucket": bucket}},
		{"fallback | cache | singleflight | zstd | BACKEND", map[string]func(*testing.T, int) string{"bucket": bucket}},
		{"log(layer=top) | cache | singleflight | limit(loads=2) | BACKEND", map[string]func(*testing.T, int) string{"memory": memory}},
		{"cache | singleflight | zstd | encrypt(keys=env:SNAPSTACK_TEST_KEYS,context=test) | BACKEND", map[string]func(*testing.T, int) string{"memory": memory}},
		{"cache | BACKEND", map[string]func(*testing.T, int) string{"route": routed(memory, bucket)}},
		// Unusual orders.
		{"zstd | cache | singleflight | BACKEND", map[string]func(*testing.T, int) string{"memory": memory}},
		{"singleflight | cache | BACKEND", map[string]func(*testing.T, int) string{"memory": memory}},
		{"zstd | singleflight | cache | BACKEND", map[string]func(*testing.T, int) string{"bucket": bucket}},
		{"cache | cache | BACKEND", map[string]func(*testing.T, int) string{"memory": memory}},
		{"cache(size=64KiB) | zstd | cache(negative_ttl=1m) | zstd | singleflight | singleflight | BACKEND", map[string]func(*testing.T, int) string{"memory": memory}},
		// Every other wrapper under a delta, and every other over one.
		{"cache | singleflight | " + delta + " | zstd | BACKEND", map[string]func(*testing.T, int) string{"sqlite": sqlite, "bucket": bucket}},
		{delta + " | fallback | cache | singleflight | limit | zstd | encrypt(keys=env:SNAPSTACK_TEST_KEYS,context=test) | log | BACKEND", map[string]func(*testing.T, int) string{"memory": memory}},
		{"fallback | cache | singleflight | limit | zstd(min=0) | encrypt(keys=env:SNAPSTACK_TEST_KEYS,context=test) | log | " + delta + " | BACKEND", map[string]func(*testing.T, int) string{"route": routed(memory, bucket)}},
	} {
		for name, backend := range c.backends {
			t.Run(strings.ReplaceAll(strings.Replace(c.wrappers, "BACKEND", name, 1), " ", ""), func(t *testing.T) {
				storetest.Run(t, func(t *testing.T, sc storetest.Config) store.SnapshotStore {
					keep := sc.Keep
					if strings.Contains(c.wrappers, delta) {
						keep = 0
					}
					text := strings.Replace(c.wrappers, "KEEP", fmt.Sprint(sc.Keep), 1)
					s, err := stack.Open(t.Context(), strings.Replace(text, "BACKEND", backend(t, keep), 1))
					if err != nil {
						t.Fatal(err)
					}
					return s
				})
			})
		}
	}
}
