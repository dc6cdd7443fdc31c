package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

// maxSingleDeletes is how many objects a Delete removes at a time where the service has
// no batch delete.
const maxSingleDeletes = 16

// Delete implements objectstore.Bucket. It is one request, or one for each key where
// the service has shown once that it has no batch delete.
func (b *Bucket) Delete(ctx context.Context, keys []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := b.limit(ctx)
	defer cancel()
	if b.noBatches.Load() {
		return b.deleteSingly(ctx, keys)
	}
	err := b.deleteBatch(ctx, keys)
	if lacksBatches(err) {
		b.noBatches.Store(true)
		return b.deleteSingly(ctx, keys)
	}
	return err
}

func (b *Bucket) deleteBatch(ctx context.Context, keys []string) error {
	objects := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		objects[i].Key = aws.String(key)
	}
	algorithm, perCall := b.opts.Checksum.ofDelete()
	out, err := b.client.DeleteObjects(ctx, &awss3.DeleteObjectsInput{
		Bucket:            aws.String(b.name),
		Delete:            &types.Delete{Objects: objects, Quiet: aws.Bool(true)}, // tell of failures only
		ChecksumAlgorithm: algorithm,
	}, perCall)
	if err != nil {
		return b.wrap(ctx, "delete", keys[0], err)
	}
	failed := 0
	for _, failure := range out.Errors {
		if aws.ToString(failure.Code) == "NoSuchKey" {
			continue
		}
		if failed++; failed == 1 {
			err = &smithy.GenericAPIError{Code: aws.ToString(failure.Code), Message: aws.ToString(failure.Message)}
			err = b.wrap(ctx, "delete", aws.ToString(failure.Key), err)
		}
	}
	if failed > 1 {
		err = fmt.Errorf("%w (and %d more of %d)", err, failed-1, len(keys))
	}
	return err
}

// deleteSingly deletes one key per request, some at a time. The first failure ends it.
func (b *Bucket) deleteSingly(ctx context.Context, keys []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxSingleDeletes)
	for _, key := range keys {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return b.wrap(ctx, "delete", key, err) // another one failed, which Wait returns, or the caller's ctx ended
			}
			_, err := b.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(b.name), Key: aws.String(key)})
			if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchKey" {
				return nil // S3 does not say so, but others may
			}
			return b.wrap(ctx, "delete", key, err)
		})
	}
	return group.Wait()
}

// lacksBatches says whether err means that the service has no batch delete, or none
// that takes the checksum it was sent.
func lacksBatches(err error) bool {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "NotImplemented", "MethodNotAllowed", "UnsupportedOperation", "MissingContentMD5":
			return true
		}
	}
	switch statusOf(err) {
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return true
	}
	return false
}
