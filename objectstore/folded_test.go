package objectstore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

// folded is a bucket that takes keys for the same that differ in the case of letters,
// as some disks do.
type folded struct{ inner objectstore.Bucket }

func (f folded) Put(ctx context.Context, key string, body []byte) error {
	return f.inner.Put(ctx, strings.ToLower(key), body)
}

func (f folded) Get(ctx context.Context, key string) ([]byte, string, error) {
	return f.inner.Get(ctx, strings.ToLower(key))
}

func (f folded) List(ctx context.Context, prefix, after string, limit int) ([]objectstore.Object, bool, error) {
	objects, more, err := f.inner.List(ctx, strings.ToLower(prefix), strings.ToLower(after), limit)
	for i := range objects {
		objects[i].Key = prefix + objects[i].Key[len(prefix):] // as it was asked for
	}
	return objects, more, err
}

func (f folded) Delete(ctx context.Context, keys []string) error {
	lower := make([]string, len(keys))
	for i, key := range keys {
		lower[i] = strings.ToLower(key)
	}
	return f.inner.Delete(ctx, lower)
}

func (f folded) Close() error { return f.inner.Close() }

func TestConformanceWhereCaseIsIgnored(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return newStore(t, folded{objectstore.NewMemoryBucket()}, objectstore.Options{Keep: c.Keep, Prefix: "Some/"})
	})
}
