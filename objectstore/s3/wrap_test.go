package s3

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/snapstack/snapstack/store"
)

// A connection that is cut because the context ended may fail with whatever the
// network says.
func TestErrorsMatchAContextThatEnded(t *testing.T) {
	b := &Bucket{name: "snapshots"}
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.wrap(ctx, "get", "a/1", io.ErrUnexpectedEOF); errors.Is(err, context.Canceled) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error while the context lasts: %v; want that of the request", err)
	}
	cancel()
	if err := b.wrap(ctx, "get", "a/1", io.ErrUnexpectedEOF); !errors.Is(err, context.Canceled) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error when the context has ended: %v; want one that matches both", err)
	}
}

func TestObjectsOverTheLimitAreRefused(t *testing.T) {
	if err := checkSize(5 << 30); err != nil {
		t.Errorf("5 GiB: %v; want it allowed", err)
	}
	if err := checkSize(5<<30 + 1); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("5 GiB and a byte: %v; want ErrTooLarge", err)
	}
}
