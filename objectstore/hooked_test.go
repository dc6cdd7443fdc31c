package objectstore_test

import (
	"context"
	"sync"

	"github.com/snapstack/snapstack/objectstore"
)

// hooked is a bucket that counts requests and calls hooks around them.
type hooked struct {
	inner objectstore.Creator

	// before is called ahead of a request with its name ("put", "get", "list",
	// "delete") and its key, prefix or first key. An error takes the place of the
	// request. Nil does nothing.
	before func(request, key string) error

	mu     sync.Mutex
	counts requests
}

type requests struct{ puts, gets, lists, deletes, deleted int }

func newHooked() *hooked { return &hooked{inner: objectstore.NewMemoryBucket()} }

// take returns the counts and sets them to zero.
func (h *hooked) take() requests {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := h.counts
	h.counts = requests{}
	return counts
}

func (h *hooked) count(request, key string, add func(*requests)) error {
	h.mu.Lock()
	add(&h.counts)
	h.mu.Unlock()
	if h.before == nil {
		return nil
	}
	return h.before(request, key)
}

func (h *hooked) Put(ctx context.Context, key string, body []byte) error {
	if err := h.count("put", key, func(r *requests) { r.puts++ }); err != nil {
		return err
	}
	return h.inner.Put(ctx, key, body)
}

func (h *hooked) Create(ctx context.Context, key string, body []byte) error {
	if err := h.count("put", key, func(r *requests) { r.puts++ }); err != nil {
		return err
	}
	return h.inner.Create(ctx, key, body)
}

func (h *hooked) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := h.count("get", key, func(r *requests) { r.gets++ }); err != nil {
		return nil, "", err
	}
	return h.inner.Get(ctx, key)
}

func (h *hooked) List(ctx context.Context, prefix, after string, limit int) ([]objectstore.Object, bool, error) {
	if err := h.count("list", prefix, func(r *requests) { r.lists++ }); err != nil {
		return nil, false, err
	}
	return h.inner.List(ctx, prefix, after, min(limit, 1000)) // as S3 does
}

func (h *hooked) Delete(ctx context.Context, keys []string) error {
	if err := h.count("delete", keys[0], func(r *requests) { r.deletes++; r.deleted += len(keys) }); err != nil {
		return err
	}
	return h.inner.Delete(ctx, keys)
}

func (h *hooked) Close() error { return h.inner.Close() }
