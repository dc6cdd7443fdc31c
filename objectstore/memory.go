package objectstore

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// MemoryBucket is a Bucket in process memory, for tests. A put of a new key moves
// those behind it in a sorted slice, which begins to show at some 100,000 keys.
type MemoryBucket struct {
	mu      sync.RWMutex
	keys    []string // sorted
	objects map[string]memoryObject
	puts    uint64 // since the beginning; the tag of an object is its number
}

type memoryObject struct {
	body []byte // never written again
	etag string
}

var _ Creator = (*MemoryBucket)(nil)

// NewMemoryBucket returns an empty MemoryBucket.
func NewMemoryBucket() *MemoryBucket {
	return &MemoryBucket{objects: make(map[string]memoryObject)}
}

// Put implements Bucket.
func (b *MemoryBucket) Put(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(key, body)
	return nil
}

// Create implements Creator.
func (b *MemoryBucket) Create(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, found := b.objects[key]; found {
		return ErrExists
	}
	b.put(key, body)
	return nil
}

// put stores body at key. The caller holds mu.
func (b *MemoryBucket) put(key string, body []byte) {
	if at, found := slices.BinarySearch(b.keys, key); !found {
		b.keys = slices.Insert(b.keys, at, key)
	}
	b.puts++
	b.objects[key] = memoryObject{body: body, etag: strconv.FormatUint(b.puts, 10)}
}

// Get implements Bucket.
func (b *MemoryBucket) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	b.mu.RLock()
	object, found := b.objects[key]
	b.mu.RUnlock()
	if !found {
		return nil, "", ErrNoObject
	}
	return bytes.Clone(object.body), object.etag, nil
}

// List implements Bucket.
func (b *MemoryBucket) List(ctx context.Context, prefix, after string, limit int) (objects []Object, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	at, _ := slices.BinarySearch(b.keys, max(prefix, after))
	for _, key := range b.keys[at:] {
		switch {
		case key <= after:
			continue
		case !strings.HasPrefix(key, prefix):
			return objects, false, nil
		case len(objects) == limit:
			return objects, true, nil
		}
		object := b.objects[key]
		objects = append(objects, Object{Key: key, Size: int64(len(object.body)), ETag: object.etag})
	}
	return objects, false, nil
}

// Delete implements Bucket.
func (b *MemoryBucket) Delete(ctx context.Context, keys []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		if at, found := slices.BinarySearch(b.keys, key); found {
			b.keys = slices.Delete(b.keys, at, at+1)
			delete(b.objects, key)
		}
	}
	return nil
}

// Close implements Bucket. It drops every object.
func (b *MemoryBucket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys, b.objects = nil, nil
	return nil
}
