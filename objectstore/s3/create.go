package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapstack/snapstack/objectstore"
)

// Create implements objectstore.Creator, with If-None-Match. A service that ignores
// this header replaces what is there.
func (b *Bucket) Create(ctx context.Context, key string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkSize(int64(len(body))); err != nil {
		return b.wrap(ctx, "create", key, err)
	}
	limited, cancel := b.limit(ctx)
	defer cancel()
	input := b.putInput(key, body)
	input.IfNoneMatch = aws.String("*")
	attempts := 0
	_, err := b.client.PutObject(limited, input, countAttempts(&attempts))
	if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != "PreconditionFailed" {
		return b.wrap(limited, "create", key, err)
	}
	if attempts > 1 {
		// What the last attempt found may be what an earlier one had put, whose answer was
		// lost on the way.
		there, _, err := b.Get(ctx, key)
		if err != nil {
			return b.wrap(ctx, "create", key, fmt.Errorf("taken, perhaps by this: %w", err))
		}
		if bytes.Equal(there, body) {
			return nil
		}
	}
	return objectstore.ErrExists
}

// countAttempts adds to n the attempts that the SDK makes at an operation.
func countAttempts(n *int) func(*awss3.Options) {
	count := func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		*n++
		return next.HandleFinalize(ctx, in)
	}
	return func(o *awss3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("CountAttempts", count), "Retry", middleware.After)
		})
	}
}
