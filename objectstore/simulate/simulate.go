// Package simulate is a bucket that behaves as a remote one does: its requests take
// time, it refuses them when there are too many a second, and counts what they cost. It
// tells how long a million loads take on S3, and what a program makes of a bucket that
// wants fewer requests, without a server.
//
// It waits with the timers of package time. In a bubble of testing/synctest these need
// no time, so that hours pass in seconds. There
//
//	bucket, err := simulate.New(objectstore.NewMemoryBucket(), simulate.S3())
//	if err != nil {
//		return err
//	}
//	snapshots, err := objectstore.New(bucket, objectstore.Options{})
//	if err != nil {
//		return err
//	}
//	start := time.Now()
//	_, err = snapshots.LoadLatest(ctx, "order-42")
//	took := time.Since(start)
//	paid := simulate.S3Prices().Requests(bucket.Counts())
//	fmt.Println(took, paid, err)
//
// tells how long a load takes on S3, and what it costs in US dollars.
package simulate

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

// Options says how a Bucket behaves. The zero value takes no time and refuses nothing.
type Options struct {
	// List, Get, Put and Delete are how long a request of the kind takes, which passes
	// half before it takes effect and half after it. Put is that of Create too.
	List, Get, Put, Delete time.Duration

	// BytesPerSecond is how fast the body of each request moves, on top of that; 0
	// means at once.
	BytesPerSecond int64

	// ReadsPerSecond is how many Lists and Gets together a partition answers, and
	// WritesPerSecond how many Puts, Creates and keys of Deletes; 0 means all. What
	// comes beyond is refused with an error matching objectstore.ErrThrottled, and has
	// no effect. A partition that was idle answers what comes in a tenth of a second
	// at once.
	ReadsPerSecond, WritesPerSecond int

	// Splits are the keys at which a partition ends and the next begins, in rising
	// order: S3 cuts the keys of a bucket, which it holds in byte order, into ranges.
	// Here they do not move; those of S3 do, some time after a range has become busy.
	// Without any, the bucket is one partition. A List counts where it begins, a Delete
	// where its first key lies.
	Splits []string
}

// S3 returns the Options of a bucket in S3 Standard that has not been split: 5,500
// reads and 3,500 writes a second are what the AWS documentation promises for each
// partition. 20 ms is a usual time for a small request within a region, and 85 MB/s
// what the same documentation counts on for one connection.
func S3() Options {
	const latency = 20 * time.Millisecond
	return Options{
		List: latency, Get: latency, Put: latency, Delete: latency,
		BytesPerSecond: 85e6,
		ReadsPerSecond: 5500, WritesPerSecond: 3500,
	}
}

// Counts are the requests that a Bucket has had. One whose context ended on its way to
// the bucket does not count.
type Counts struct {
	Lists, Gets, Puts, Deletes int64 // that were answered, also with an error such as ErrNoObject
	DeletedKeys                int64 // in those Deletes
	Refused                    int64 // that were not

	PutBytes, GetBytes int64 // in the bodies of those that were answered
}

// Bucket is a wrapper over a bucket that makes it behave as a remote one.
type Bucket struct {
	inner  objectstore.Creator
	opts   Options
	reads  []limit // of each partition
	writes []limit

	lists, gets, puts, deletes, deletedKeys, refused atomic.Int64
	putBytes, getBytes                               atomic.Int64
}

var _ objectstore.Creator = (*Bucket)(nil)

// maxKeys is how many objects a List gives, as that of S3.
const maxKeys = 1000

// New returns a Bucket over inner, which it closes when it is closed itself.
func New(inner objectstore.Creator, opts Options) (*Bucket, error) {
	if err := check(inner, opts); err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("simulate: %w", err))
	}
	opts.Splits = slices.Clone(opts.Splits)
	return &Bucket{
		inner:  inner,
		opts:   opts,
		reads:  newLimits(len(opts.Splits)+1, opts.ReadsPerSecond),
		writes: newLimits(len(opts.Splits)+1, opts.WritesPerSecond),
	}, nil
}

func check(inner objectstore.Creator, opts Options) error {
	if inner == nil {
		return fmt.Errorf("%w bucket: nil", store.ErrInvalid)
	}
	for _, o := range []struct {
		name  string
		value int64
	}{
		{"List", int64(opts.List)},
		{"Get", int64(opts.Get)},
		{"Put", int64(opts.Put)},
		{"Delete", int64(opts.Delete)},
		{"BytesPerSecond", opts.BytesPerSecond},
		{"ReadsPerSecond", int64(opts.ReadsPerSecond)},
		{"WritesPerSecond", int64(opts.WritesPerSecond)},
	} {
		if o.value < 0 {
			return fmt.Errorf("%w %s %d; allowed are 0 and more", store.ErrInvalid, o.name, o.value)
		}
	}
	for i, split := range opts.Splits {
		if split == "" || i > 0 && split <= opts.Splits[i-1] {
			return fmt.Errorf("%w Splits %q; allowed are keys in rising order, each once", store.ErrInvalid, opts.Splits)
		}
	}
	return nil
}

// Put implements objectstore.Bucket.
func (b *Bucket) Put(ctx context.Context, key string, body []byte) error {
	return b.put(ctx, key, body, b.inner.Put)
}

// Create implements objectstore.Creator.
func (b *Bucket) Create(ctx context.Context, key string, body []byte) error {
	return b.put(ctx, key, body, b.inner.Create)
}

func (b *Bucket) put(ctx context.Context, key string, body []byte, put func(context.Context, string, []byte) error) error {
	if err := wait(ctx, b.opts.Put/2+b.moving(len(body))); err != nil {
		return err
	}
	if !b.partition(b.writes, key).take(1) {
		return b.refuse(ctx, "put", key, b.opts.Put/2)
	}
	b.puts.Add(1)
	b.putBytes.Add(int64(len(body)))
	err := put(ctx, key, body)
	if waited := wait(ctx, b.opts.Put/2); waited != nil {
		return waited
	}
	return err
}

// Get implements objectstore.Bucket.
func (b *Bucket) Get(ctx context.Context, key string) (body []byte, etag string, err error) {
	if err := wait(ctx, b.opts.Get/2); err != nil {
		return nil, "", err
	}
	if !b.partition(b.reads, key).take(1) {
		return nil, "", b.refuse(ctx, "get", key, b.opts.Get/2)
	}
	b.gets.Add(1)
	body, etag, err = b.inner.Get(ctx, key)
	b.getBytes.Add(int64(len(body)))
	if waited := wait(ctx, b.opts.Get/2+b.moving(len(body))); waited != nil {
		return nil, "", waited
	}
	return body, etag, err
}

// List implements objectstore.Bucket. It gives at most 1000 objects.
func (b *Bucket) List(ctx context.Context, prefix, after string, limit int) (objects []objectstore.Object, more bool, err error) {
	if err := wait(ctx, b.opts.List/2); err != nil {
		return nil, false, err
	}
	if !b.partition(b.reads, max(prefix, after)).take(1) {
		return nil, false, b.refuse(ctx, "list", prefix, b.opts.List/2)
	}
	b.lists.Add(1)
	objects, more, err = b.inner.List(ctx, prefix, after, min(limit, maxKeys))
	if waited := wait(ctx, b.opts.List/2); waited != nil {
		return nil, false, waited
	}
	return objects, more, err
}

// Delete implements objectstore.Bucket.
func (b *Bucket) Delete(ctx context.Context, keys []string) error {
	if err := wait(ctx, b.opts.Delete/2); err != nil {
		return err
	}
	if !b.partition(b.writes, keys[0]).take(len(keys)) {
		return b.refuse(ctx, "delete", keys[0], b.opts.Delete/2)
	}
	b.deletes.Add(1)
	b.deletedKeys.Add(int64(len(keys)))
	err := b.inner.Delete(ctx, keys)
	if waited := wait(ctx, b.opts.Delete/2); waited != nil {
		return waited
	}
	return err
}

// Close implements objectstore.Bucket.
func (b *Bucket) Close() error { return b.inner.Close() }

// Counts returns the requests so far. While some are in flight its fields may be of
// slightly different moments.
func (b *Bucket) Counts() Counts {
	return Counts{
		Lists:       b.lists.Load(),
		Gets:        b.gets.Load(),
		Puts:        b.puts.Load(),
		Deletes:     b.deletes.Load(),
		DeletedKeys: b.deletedKeys.Load(),
		Refused:     b.refused.Load(),
		PutBytes:    b.putBytes.Load(),
		GetBytes:    b.getBytes.Load(),
	}
}

// StoredBytes returns how many bytes the objects have that are in the bucket. It takes
// no simulated time and does not count as a request.
func (b *Bucket) StoredBytes(ctx context.Context) (int64, error) {
	var stored int64
	for after := ""; ; {
		objects, more, err := b.inner.List(ctx, "", after, maxKeys)
		if err != nil {
			return 0, err
		}
		for _, object := range objects {
			stored += object.Size
			after = object.Key
		}
		if !more {
			return stored, nil
		}
	}
}

// refuse answers a request that is one too many.
func (b *Bucket) refuse(ctx context.Context, request, key string, back time.Duration) error {
	b.refused.Add(1)
	if err := wait(ctx, back); err != nil {
		return err
	}
	return fmt.Errorf("simulate: %s %q: %w", request, key, objectstore.ErrThrottled)
}

// partition returns the limit that holds for the key.
func (b *Bucket) partition(limits []limit, key string) *limit {
	at, found := slices.BinarySearch(b.opts.Splits, key)
	if found {
		at++ // the split is the first key of the next partition
	}
	return &limits[at]
}

// moving returns how long a body is on its way.
func (b *Bucket) moving(bytes int) time.Duration {
	if b.opts.BytesPerSecond == 0 {
		return 0
	}
	return time.Duration(float64(bytes) / float64(b.opts.BytesPerSecond) * float64(time.Second))
}

// wait returns after the duration, or when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d == 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
