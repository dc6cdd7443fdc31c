package stack

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/s3"
	"github.com/snapstack/snapstack/store"
)

type bucketOpener func(ctx context.Context) (objectstore.Bucket, error)

// readBucketURL reads the url of an objectstore and opens nothing.
func readBucketURL(raw string) (bucketOpener, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		scheme = ""
	}
	switch scheme {
	case "mem":
		if rest != "" {
			return nil, fmt.Errorf("%w url: allowed is mem:// and nothing behind it", store.ErrInvalid)
		}
		return func(context.Context) (objectstore.Bucket, error) { return objectstore.NewMemoryBucket(), nil }, nil
	case "file":
		path, err := filePath(raw)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (objectstore.Bucket, error) {
			return objectstore.OpenDirectory(ctx, path, objectstore.DirectoryOptions{})
		}, nil
	case "s3":
		name, opts, err := s3.ParseURL(raw)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (objectstore.Bucket, error) { return s3.Open(ctx, name, opts) }, nil
	}
	return nil, fmt.Errorf("%w scheme of the url: %q; allowed are mem://, file:///directory and s3://bucket", store.ErrInvalid, scheme)
}

// filePath returns the path in a file URL, which names no host and no user.
func filePath(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path == "" {
		return "", fmt.Errorf("%w url; allowed is file:// and an absolute path, as in file:///var/lib/snapshots, with %%3f for ? and %%23 for #", store.ErrInvalid)
	}
	return filepath.FromSlash(u.Path), nil
}
