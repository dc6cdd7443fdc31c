package objectstore_test

import (
	"testing"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/buckettest"
)

func TestMemoryBucket(t *testing.T) {
	buckettest.Run(t, func(*testing.T) objectstore.Bucket { return objectstore.NewMemoryBucket() })
}

func TestDirectory(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) objectstore.Bucket { return openDirectory(t, t.TempDir()) })
}

func openDirectory(t *testing.T, path string) *objectstore.Directory {
	t.Helper()
	d, err := objectstore.OpenDirectory(t.Context(), path, objectstore.DirectoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
