package stack

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// An opener opens a layer over inner, which is nil for a backend.
type opener func(ctx context.Context, inner store.SnapshotStore) (store.SnapshotStore, error)

// A kind is what a name of a layer stands for.
type kind struct {
	backend bool
	read    func(v *values) opener // asks for all options of the layer, and opens nothing
}

var layerKinds = map[string]kind{
	"memory":       {backend: true, read: readMemory},
	"sqlite":       {backend: true, read: readSQLite},
	"objectstore":  {backend: true, read: readObjectstore},
	"cache":        {read: readCache},
	"singleflight": {read: readSingleflight},
	"zstd":         {read: readZstd},
	"fallback":     {read: readFallback},
}

// backendNames and wrapperNames are the names in layerKinds, for errors.
var (
	backendNames = namesOf(true)
	wrapperNames = namesOf(false)
)

func namesOf(backend bool) []string {
	names := slices.Sorted(maps.Keys(layerKinds))
	return slices.DeleteFunc(names, func(name string) bool { return layerKinds[name].backend != backend })
}

func readMemory(v *values) opener {
	opts := memory.Options{Keep: v.count("keep")}
	return func(context.Context, store.SnapshotStore) (store.SnapshotStore, error) {
		return memory.New(opts)
	}
}

func readSQLite(v *values) opener {
	path := v.required("path", "the file, or :memory:")
	opts := sqlite.Options{Table: v.text("table")}
	v.parsed("journal", func(value string) (err error) {
		opts.JournalMode, err = sqlite.ParseJournalMode(value)
		return err
	})
	v.parsed("sync", func(value string) (err error) {
		opts.Synchronous, err = sqlite.ParseSynchronous(value)
		return err
	})
	opts.BusyTimeout = v.duration("busy_timeout", "a duration above 0, as 500ms or 5s", func(d time.Duration) bool { return d > 0 })
	opts.Keep = v.count("keep")
	return func(ctx context.Context, _ store.SnapshotStore) (store.SnapshotStore, error) {
		return sqlite.Open(ctx, path, opts)
	}
}

func readObjectstore(v *values) opener {
	var openBucket bucketOpener
	v.requiredParsed("url", "mem://, file:///directory or s3://bucket", func(value string) (err error) {
		openBucket, err = readBucketURL(value)
		return err
	})
	opts := objectstore.Options{
		Prefix:     v.text("prefix"),
		Keep:       v.count("keep"),
		PruneAsync: v.toggle("prune_async"),
		CreateOnly: v.toggle("create_only"),
	}
	return func(ctx context.Context, _ store.SnapshotStore) (store.SnapshotStore, error) {
		bucket, err := openBucket(ctx)
		if err != nil {
			return nil, err
		}
		s, err := objectstore.New(bucket, opts)
		if err != nil {
			return nil, errors.Join(err, bucket.Close())
		}
		return s, nil
	}
}

func readCache(v *values) opener {
	var opts cache.Options
	opts.MaxBytes, _ = v.size("size", false)
	opts.MaxEntryBytes, _ = v.size("max_entry", false)
	v.parsed("policy", func(value string) (err error) {
		opts.Policy, err = cache.ParsePolicy(value)
		return err
	})
	opts.TTL = v.duration("ttl", "a duration, as 30s, 5m or 1h30m, or a negative one for entries that do not expire", func(d time.Duration) bool { return d != 0 })
	opts.NegativeTTL = v.duration("negative_ttl", "a duration, as 500ms or 1m, or 0s", func(d time.Duration) bool { return d >= 0 })
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return cache.New(inner, opts)
	}
}

func readSingleflight(*values) opener {
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return cache.NewSingleflight(inner), nil
	}
}

func readZstd(v *values) opener {
	var opts compress.Options
	v.parsed("level", func(value string) (err error) {
		opts.Level, err = compress.ParseLevel(value)
		return err
	})
	if bytes, given := v.size("min", true); given && bytes == 0 {
		opts.MinBytes = -1 // 0 would be the default
	} else {
		opts.MinBytes = int(bytes)
	}
	opts.MaxDecodedBytes, _ = v.size("max", false)
	opts.Concurrency = v.count("concurrency")
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return compress.New(inner, opts)
	}
}

func readFallback(v *values) opener {
	opts := store.FallbackOptions{Attempts: v.count("attempts")}
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return store.NewFallback(inner, opts)
	}
}
