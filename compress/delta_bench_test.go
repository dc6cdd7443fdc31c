package compress_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// scattered returns state with a share of its bytes changed in places of 16 to 48
// bytes, of which every fourth becomes longer or shorter.
func scattered(state []byte, share float64, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	changed := make([]byte, 0, len(state)+len(state)/64)
	if share >= 1 {
		for range state {
			changed = append(changed, byte('0'+random.IntN(10)))
		}
		return changed
	}
	for at := 0; at < len(state); {
		n := 16 + random.IntN(33)
		end := min(at+int(random.ExpFloat64()*float64(n)*(1-share)/share), len(state))
		changed = append(changed, state[at:end]...)
		at = min(end+n, len(state))
		if end == len(state) {
			break
		}
		if random.IntN(4) == 0 {
			n = 16 + random.IntN(33)
		}
		for range n {
			changed = append(changed, byte('0'+random.IntN(10)))
		}
	}
	return changed
}

// BenchmarkDelta saves states of which a share differs from one and the same, and so from
// the base, in turns of six with the same store without Delta: raw, and under zstd. With drift a
// hundredth changes from each state to the next, so that what differs from the base
// grows. Ratios are of medians, which leaves out the one Save in seventeen that
// makes a base; it is in the mean, and in the bytes.
func BenchmarkDelta(b *testing.B) {
	sizes := []struct {
		name  string
		state []byte
	}{{"64KB", jsonStates(b, 64<<10)}, {"1MB", jsonStates(b, 1<<20)}, {"8MB", jsonStates(b, 8<<20)}}
	if path := os.Getenv("SNAPSTACK_DELTA_STATE"); path != "" { // a large real one
		state, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		sizes = append(sizes, struct {
			name  string
			state []byte
		}{filepath.Base(path), state})
	}
	for _, backend := range []string{"sqlite", "s3-20ms"} {
		for _, size := range sizes {
			for _, share := range []float64{0.001, 0.01, 0.1, 1} {
				b.Run(fmt.Sprintf("%s/%s/%v", backend, size.name, share), func(b *testing.B) {
					benchmarkDelta(b, backend, size.state, share, false)
				})
			}
			b.Run(fmt.Sprintf("%s/%s/drift", backend, size.name), func(b *testing.B) {
				benchmarkDelta(b, backend, size.state, 0.01, true)
			})
		}
	}
}

func benchmarkDelta(b *testing.B, backend string, origin []byte, share float64, drift bool) {
	ctx := b.Context()
	open := func(name string) (store.SnapshotStore, *storetest.Counter) {
		var inner store.SnapshotStore
		var err error
		if backend == "sqlite" {
			inner, err = sqlite.Open(ctx, filepath.Join(b.TempDir(), name), sqlite.Options{Keep: 0})
		} else {
			inner, err = objectstore.New(objectstore.NewMemoryBucket(), objectstore.Options{})
			// 20 ms for each operation, and 100 MB/s.
			inner = &remote{inner: inner, latency: 20 * time.Millisecond, perSecond: 100e6}
		}
		if err != nil {
			b.Fatal(err)
		}
		counter := storetest.NewCounter(inner)
		return counter, counter
	}
	raw, rawBytes := open("raw.db")
	under, zstdBytes := open("zstd.db")
	zstd := mustNew(b, under, compress.Options{})
	under, deltaBytes := open("delta.db")
	delta := mustDelta(b, mustNew(b, under, compress.Options{}), compress.DeltaOptions{MinBytes: -1, Keep: 0, CacheBytes: 256 << 20})
	stores := []store.SnapshotStore{delta, zstd, raw}
	defer func() {
		for _, s := range stores {
			mustClose(b, s)
		}
	}()
	timed := func(f func() error) float64 {
		began := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return float64(time.Since(began))
	}
	var saves, loads [3][]float64
	const turn = 6
	for nr := uint64(1); b.Loop(); nr += turn {
		var states [turn][]byte
		for i := range states {
			states[i] = origin
			if nr > 1 || i > 0 {
				states[i] = scattered(origin, share, nr+uint64(i))
			}
			if drift {
				origin = states[i]
			}
		}
		// Each for a while: what one leaves the disk to do, another one would wait for.
		for i, s := range stores {
			for j, state := range states {
				at := nr + uint64(j)
				saves[i] = append(saves[i], timed(func() error { return s.Save(ctx, snapshot(at, state)) }))
				loads[i] = append(loads[i], timed(func() error {
					return store.ViewLatest(ctx, s, id, func(snap store.Snapshot) error {
						if !bytes.Equal(snap.State, state) {
							b.Error("another state")
						}
						return nil
					})
				}))
				if at > 2 {
					if err := s.Delete(ctx, id, at-2); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	middle := func(times []float64) float64 { slices.Sort(times); return times[len(times)/2] }
	mean := func(times []float64) (sum float64) {
		for _, t := range times {
			sum += t / float64(len(times))
		}
		return sum
	}
	b.ReportMetric(0, "ns/op") // of everything, which says nothing
	b.ReportMetric(mean(saves[0])/mean(saves[2]), "mean-save/raw")
	b.ReportMetric(middle(saves[0])/middle(saves[2]), "save/raw")
	b.ReportMetric(middle(saves[0])/middle(saves[1]), "save/zstd")
	b.ReportMetric(middle(loads[0])/middle(loads[1]), "load/zstd")
	b.ReportMetric(float64(deltaBytes.Counts().SavedBytes)/float64(zstdBytes.Counts().SavedBytes), "bytes/zstd")
	b.ReportMetric(float64(deltaBytes.Counts().SavedBytes)/float64(rawBytes.Counts().SavedBytes), "bytes/raw")
}

// jsonStates returns a state of that size of those that bench generates.
func jsonStates(b *testing.B, size int) []byte {
	b.Helper()
	var state []byte
	for seed := uint64(1); len(state) < size; seed++ {
		for _, part := range workload.Generate(seed) {
			if len(part) > 32<<10 {
				state = append(state, part...)
			}
		}
	}
	return state[:size]
}

// remote is a store that is far away: each operation takes a while, and each byte.
type remote struct {
	inner     store.SnapshotStore
	latency   time.Duration
	perSecond float64
}

func (r *remote) wait(ctx context.Context, bytes int) error {
	select {
	case <-time.After(r.latency + time.Duration(float64(bytes)/r.perSecond*1e9)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *remote) Save(ctx context.Context, snap store.Snapshot) error {
	if err := r.wait(ctx, len(snap.State)); err != nil {
		return err
	}
	return r.inner.Save(ctx, snap)
}

func (r *remote) LoadLatest(ctx context.Context, of string) (store.Snapshot, error) {
	snap, err := r.inner.LoadLatest(ctx, of)
	if err == nil {
		err = r.wait(ctx, len(snap.State))
	}
	return snap, err
}

func (r *remote) LoadBefore(ctx context.Context, of string, nr uint64) (store.Snapshot, error) {
	snap, err := r.inner.LoadBefore(ctx, of, nr)
	if err == nil {
		err = r.wait(ctx, len(snap.State))
	}
	return snap, err
}

func (r *remote) Delete(ctx context.Context, of string, nr uint64) error {
	if err := r.wait(ctx, 0); err != nil {
		return err
	}
	return r.inner.Delete(ctx, of, nr)
}

func (r *remote) Close() error                { return r.inner.Close() }
func (r *remote) Unwrap() store.SnapshotStore { return r.inner }
