package cache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// The usual order: hits from the cache, and misses that share a load.
func Example() {
	ctx := context.Background()
	backend, err := memory.New(memory.Options{}) // in production: sqlite or objectstore
	if err != nil {
		fmt.Println(err)
		return
	}
	snapshots, err := cache.New(cache.NewSingleflight(backend), cache.Options{MaxBytes: 256 << 20, TTL: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close() // and every layer beneath

	if err := snapshots.Save(ctx, store.Snapshot{PersistenceID: "order-42", SequenceNr: 7, State: []byte("paid")}); err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		// The state is lent until the function returns: a hit copies nothing.
		err := store.ViewLatest(ctx, snapshots, "order-42", func(snap store.Snapshot) error {
			fmt.Printf("%d %s\n", snap.SequenceNr, snap.State)
			return nil
		})
		if err != nil {
			fmt.Println(err)
		}
	}
	stats := snapshots.Stats()
	fmt.Println("hits:", stats.Hits, "misses:", stats.Misses)

	snapshots.Invalidate("order-42") // where another process is known to have written
	// Output:
	// 7 paid
	// 7 paid
	// 7 paid
	// hits: 2 misses: 1
}
