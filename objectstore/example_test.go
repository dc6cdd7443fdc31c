package objectstore_test

import (
	"context"
	"fmt"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

func Example() {
	ctx := context.Background()
	// In production: objectstore.OpenDirectory, or s3.Open of package objectstore/s3.
	bucket := objectstore.NewMemoryBucket()
	snapshots, err := objectstore.New(bucket, objectstore.Options{Prefix: "production/", Keep: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snapshots.Close()

	for nr := range uint64(4) {
		snap := store.Snapshot{PersistenceID: "Order/7", SequenceNr: nr, State: fmt.Appendf(nil, "state at %d", nr)}
		if err := snapshots.Save(ctx, snap); err != nil {
			fmt.Println(err)
			return
		}
	}
	snap, err := snapshots.LoadLatest(ctx, "Order/7")
	fmt.Printf("%s, %v\n", snap.State, err)

	objects, _, err := bucket.List(ctx, "", "", 10)
	for _, object := range objects {
		fmt.Println(object.Key)
	}
	fmt.Println(err)
	// Output:
	// state at 3, <nil>
	// production/_4frder_2f7/7ffffffffffffffc
	// production/_4frder_2f7/7ffffffffffffffd
	// <nil>
}
