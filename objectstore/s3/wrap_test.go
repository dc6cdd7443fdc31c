package s3

import (
	"context"
	"errors"
	"io"
	"testing"
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
