package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/encrypt"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/observe"
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
	"delta":        {read: readDelta},
	"encrypt":      {read: readEncrypt},
	"fallback":     {read: readFallback},
	"limit":        {read: readLimit},
	"log":          {read: readLog},
}

func init() {
	layerKinds["route"] = kind{backend: true, read: readRoute} // which reads layers in turn
}

// namesOf returns the names of the backends or of the wrappers, for errors.
func namesOf(backend bool) string {
	names := slices.Sorted(maps.Keys(layerKinds))
	names = slices.DeleteFunc(names, func(name string) bool { return layerKinds[name].backend != backend })
	return strings.Join(names, ", ")
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
	opts.OnPruneError = logPruneError
	opts.PageSize = int(v.sizeWithin("page_size", "a power of two from 512 to 64KiB", func(n int64) bool {
		return n >= 512 && n <= 64<<10 && n&(n-1) == 0
	}))
	opts.CheckpointBytes = v.sizeWithin("checkpoint", "a size from 64KiB to 1GiB", func(n int64) bool {
		return n >= 64<<10 && n <= 1<<30
	})
	opts.MaxStateBytes = int(v.sizeWithin("max", "a size from 1 to 999997952", func(n int64) bool {
		return n >= 1 && n <= 999_997_952
	}))
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

		OnPruneError: logPruneError,
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
	v.eachParsed("dict", func(path string) error {
		dictionary, err := readDictionary(path)
		if err == nil {
			opts.Dictionaries = append(opts.Dictionaries, dictionary)
		}
		return err
	})
	opts.Concurrency = v.count("concurrency")
	if err := opts.Check(); err != nil {
		v.fail(fmt.Errorf("zstd: %w", err))
	}
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return compress.New(inner, opts)
	}
}

func readDelta(v *values) opener {
	var opts compress.DeltaOptions
	if bytes, given := v.size("min", true); given && bytes == 0 {
		opts.MinBytes = -1 // 0 would be the default
	} else {
		opts.MinBytes = int(bytes)
	}
	v.parsed("share", func(value string) (err error) {
		if opts.MaxShare, err = strconv.ParseFloat(value, 64); err != nil || !(opts.MaxShare > 0 && opts.MaxShare <= 1) {
			return fmt.Errorf("%w share %s; allowed is a share above 0 and up to 1, as 0.25", store.ErrInvalid, quote(value))
		}
		return nil
	})
	opts.MaxDeltas = v.count("deltas")
	opts.Keep = v.count("keep")
	opts.CacheBytes, _ = v.size("size", false)
	opts.MaxStateBytes, _ = v.size("max", false)
	opts.Writer = v.text("writer")
	if err := opts.Check(); err != nil {
		v.fail(fmt.Errorf("delta: %w", err))
	}
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return compress.NewDelta(inner, opts)
	}
}

// checkKeep returns an error if a layer beneath a delta has a keep of its own: opening it
// would be refused, but only after what stands beneath was made.
func (s Spec) checkKeep() error {
	for _, layer := range s {
		for _, option := range layer.Options {
			if layer.Name == "route" {
				routed, err := Parse(option.Value)
				if err == nil {
					err = routed.checkKeep()
				}
				if err != nil {
					return fmt.Errorf("route: option %s: %w", option.Name, err)
				}
			} else if option.Name == "keep" && option.Value != "0" {
				return fmt.Errorf("%w: %s: option keep=%s beneath delta, whose bases it would remove; allowed is keep of delta in its stead", store.ErrInvalid, layer.Name, quote(option.Value))
			}
		}
	}
	return nil
}

// readDictionary returns the dictionary in a file. It is read when the text is checked,
// for a stack whose dictionary is missing to open nothing.
func readDictionary(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w dictionary: %w; allowed is the path of a file that compress.Train or zstd --train made", store.ErrInvalid, err)
	}
	defer file.Close()    // it was only read
	const most = 64 << 20 // no dictionary is, and the file may be anything
	dictionary, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, fmt.Errorf("%w dictionary: %w; allowed is the path of a file that can be read", store.ErrInvalid, err)
	}
	if len(dictionary) > most {
		return nil, fmt.Errorf("%w dictionary: %s has more than the %d bytes that are allowed", store.ErrInvalid, path, most)
	}
	if _, err := compress.DictionaryID(dictionary); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return dictionary, nil
}

func readEncrypt(v *values) opener {
	var opts encrypt.Options
	v.requiredParsed("keys", "env:NAME or file:PATH; the keys themselves never stand here", func(value string) error {
		kind, name, _ := strings.Cut(value, ":")
		switch {
		case kind == "env" && name != "":
			opts.Keys = encrypt.Env(name)
		case kind == "file" && name != "":
			opts.Keys = encrypt.File(name)
		default: // without the value: it may be a key
			return fmt.Errorf("%w; allowed are env:NAME and file:PATH, and never the keys themselves", store.ErrInvalid)
		}
		return nil
	})
	opts.Context = v.required("context", "what the keys are used for, as acme/prod/snapshots")
	v.parsed("mode", func(value string) (err error) {
		opts.Mode, err = encrypt.ParseMode(value)
		return err
	})
	opts.Migrate = v.toggle("migrate")
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return encrypt.New(inner, opts)
	}
}

func readFallback(v *values) opener {
	opts := store.FallbackOptions{Attempts: v.count("attempts"), OnCorrupt: logCorrupt}
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return store.NewFallback(inner, opts)
	}
}

func readLimit(v *values) opener {
	opts := store.LimitOptions{Loads: v.count("loads")}
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return store.NewLimit(inner, opts)
	}
}

func readLog(v *values) opener {
	opts := observe.Options{Layer: v.text("layer"), Observers: []observe.Observer{observe.NewSlog(nil)}}
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return observe.New(inner, opts)
	}
}

func readRoute(v *values) opener {
	specs := make(map[string]Spec)
	for _, option := range v.layer.Options {
		v.parsed(option.Name, func(text string) (err error) {
			specs[option.Name], err = Parse(text)
			return err
		})
	}
	if len(specs) == 0 {
		v.fail(fmt.Errorf(`%w: route: no stack; at least one is needed, as ""="memory" for every id`, store.ErrInvalid))
	}
	return func(ctx context.Context, _ store.SnapshotStore) (store.SnapshotStore, error) {
		stores := make(map[string]store.SnapshotStore)
		for prefix, spec := range specs {
			s, err := spec.Open(ctx)
			if err != nil {
				for _, opened := range stores {
					err = errors.Join(err, opened.Close())
				}
				return nil, err
			}
			stores[prefix] = s
		}
		return store.NewRoute(stores)
	}
}

// A text can't name the functions that layers report to, and nobody must lose snapshots
// without being told: both of these write to slog's default logger.

func logCorrupt(persistenceID string, sequenceNr uint64, err error) {
	slog.Error("corrupt snapshot passed over", "persistence_id", persistenceID, "sequence_nr", sequenceNr, "error", err)
}

func logPruneError(err error) {
	slog.Error("older snapshots not removed", "error", err)
}
