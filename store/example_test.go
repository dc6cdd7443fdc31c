package store_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// The life of an entity: it is saved now and then, and wakes from its latest snapshot and
// the events after that.
func Example() {
	ctx := context.Background()
	snapshots, err := memory.New(memory.Options{Keep: 2}) // in production: sqlite or objectstore
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close()

	type counter struct{ Total int }
	typed := store.NewTyped(snapshots, store.JSON[counter]())
	due := store.EveryN(3)
	journal := []int{1, 2, 3, 4, 5} // the events, with the numbers 1 to 5

	var state counter
	var since store.Since
	for i, event := range journal {
		state.Total += event
		since.Events++
		if due(since) {
			if err := typed.Save(ctx, "counter-7", uint64(i+1), state); err != nil {
				fmt.Println(err)
				return
			}
			since = store.Since{}
		}
	}

	woken, nr, err := typed.LoadLatest(ctx, "counter-7")
	if err != nil && !errors.Is(err, store.ErrNotFound) { // without a snapshot: all events
		fmt.Println(err)
		return
	}
	fmt.Println("snapshot at", nr, woken)
	for _, event := range journal[nr:] {
		woken.Total += event
	}
	fmt.Println("awake", woken)
	// Output:
	// snapshot at 3 {6}
	// awake {15}
}

// One kind of entity in a store of its own.
func ExampleNewRoute() {
	ctx := context.Background()
	reports, err := memory.New(memory.Options{Keep: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	rest, err := memory.New(memory.Options{Keep: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	snapshots, err := store.NewRoute(map[string]store.SnapshotStore{"report-": reports, "": rest})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close() // and both stores

	for _, id := range []string{"report-1", "order-1"} {
		for nr := range uint64(4) {
			if err := snapshots.Save(ctx, store.Snapshot{PersistenceID: id, SequenceNr: nr}); err != nil {
				fmt.Println(err)
				return
			}
		}
		for info, err := range store.List(ctx, snapshots, id) {
			fmt.Println(info.PersistenceID, info.SequenceNr, err)
		}
	}
	// Output:
	// report-1 3 <nil>
	// order-1 3 <nil>
	// order-1 2 <nil>
	// order-1 1 <nil>
}
