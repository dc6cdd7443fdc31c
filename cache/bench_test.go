package cache_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	lru "github.com/hashicorp/golang-lru/v2"
	xsingleflight "golang.org/x/sync/singleflight"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// benchStore returns a memory store with one snapshot of 4 KB.
func benchStore(b *testing.B) store.SnapshotStore {
	b.Helper()
	s, err := memory.New(memory.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Save(b.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 1, State: make([]byte, 4096)}); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkHit compares a hit with a bare Get of golang-lru.
func BenchmarkHit(b *testing.B) {
	bare, err := lru.New[string, store.Snapshot](1000)
	if err != nil {
		b.Fatal(err)
	}
	bare.Add("order-1", store.Snapshot{State: make([]byte, 4096)})
	c, err := cache.New(benchStore(b), cache.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	view := func(store.Snapshot) error { return nil }
	for _, call := range []struct {
		name string
		call func() error
	}{
		{"baseline=golang-lru.Get", func() error {
			if _, ok := bare.Get("order-1"); !ok {
				return store.ErrNotFound
			}
			return nil
		}},
		{"ViewLatest", func() error { return c.ViewLatest(ctx, "order-1", view) }},
		{"LoadLatest", func() error {
			_, err := c.LoadLatest(ctx, "order-1")
			return err
		}},
	} {
		for _, goroutines := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", call.name, goroutines), func(b *testing.B) {
				b.ReportAllocs()
				var wg sync.WaitGroup
				for g := range goroutines {
					wg.Go(func() {
						for i := g; i < b.N; i += goroutines {
							if err := call.call(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkFlight compares a flight that nobody shares with a bare Do of x/sync and
// with the inner store alone.
func BenchmarkFlight(b *testing.B) {
	inner := benchStore(b)
	load := func(b *testing.B, load func(context.Context) error) {
		b.ReportAllocs()
		ctx := b.Context()
		for b.Loop() {
			if err := load(ctx); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("baseline=inner", func(b *testing.B) {
		load(b, func(ctx context.Context) error {
			_, err := inner.LoadLatest(ctx, "order-1")
			return err
		})
	})
	b.Run("baseline=xsync.Do", func(b *testing.B) {
		var group xsingleflight.Group
		load(b, func(ctx context.Context) error {
			_, err, _ := group.Do("order-1", func() (any, error) { return inner.LoadLatest(ctx, "order-1") })
			return err
		})
	})
	s := cache.NewSingleflight(inner)
	b.Run("Singleflight", func(b *testing.B) {
		load(b, func(ctx context.Context) error {
			_, err := s.LoadLatest(ctx, "order-1")
			return err
		})
	})
}
