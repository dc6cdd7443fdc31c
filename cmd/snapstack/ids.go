package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/snapstack/snapstack/store"
)

// eachID lists the snapshots of the id, or all where it is empty, and calls visit once for
// each id with the numbers of its snapshots, newest first: for so many ids at once. The
// first error ends the others' contexts, and is returned when none is visited any more.
func eachID(ctx context.Context, parallel int, s store.SnapshotStore, id string, visit func(ctx context.Context, id string, numbers []uint64) error) error {
	visits, ctx := errgroup.WithContext(ctx)
	visits.SetLimit(parallel + 1) // and the listing
	visits.Go(func() error {
		at := ""
		var numbers []uint64 // of at
		flush := func() {
			if len(numbers) == 0 {
				return
			}
			id, numbers := at, numbers
			visits.Go(func() error { return visit(ctx, id, numbers) })
		}
		for info, err := range store.List(ctx, s, id) {
			if err != nil {
				return err
			}
			if info.PersistenceID != at {
				flush()
				at, numbers = info.PersistenceID, nil
			}
			numbers = append(numbers, info.SequenceNr)
		}
		flush()
		return nil
	})
	return visits.Wait()
}
