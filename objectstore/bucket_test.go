package objectstore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

func TestMemoryBucketListsOneMoment(t *testing.T) {
	listsOneMoment(t, objectstore.NewMemoryBucket())
}

func TestDirectoryListsOneMoment(t *testing.T) { listsOneMoment(t, openDirectory(t, t.TempDir())) }

// listsOneMoment checks more than a Bucket must do: that all of a folder is listed as
// of one moment. Keys are put in one order and deleted in the opposite one, so that
// at every moment those that are there are the first in that order. A listing that
// takes some names of one moment and some of another can miss one in between.
func listsOneMoment(t *testing.T, b objectstore.Bucket) {
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	// Long names, so that the system needs several calls to read them all.
	const n = 100
	var rising []string
	for i := range n {
		rising = append(rising, fmt.Sprintf("a/%03d%s", i, strings.Repeat("-", 190)))
	}
	falling := slices.Clone(rising)
	slices.Reverse(falling)
	shuffled := slices.Clone(rising)
	rand.New(rand.NewPCG(1, 1)).Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for _, order := range [][]string{rising, falling, shuffled} {
		place := make(map[string]int)
		for i, key := range order {
			place[key] = i
		}
		var done atomic.Bool
		var writer, readers sync.WaitGroup
		writer.Go(func() {
			for _, key := range order {
				if err := b.Put(t.Context(), key, nil); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
			for _, key := range slices.Backward(order) {
				if err := b.Delete(t.Context(), []string{key}); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
		for range 2 {
			readers.Go(func() {
				for !done.Load() && !t.Failed() {
					objects, _, err := b.List(t.Context(), "a/", "", 1000)
					if err != nil {
						t.Errorf("List: %v", err)
						return
					}
					for _, object := range objects {
						if place[object.Key] >= len(objects) {
							t.Errorf("List has %q, which comes after and goes before one that it misses", object.Key)
							return
						}
					}
				}
			})
		}
		writer.Wait()
		done.Store(true)
		readers.Wait()
	}
}

func openDirectory(t testing.TB, path string) *objectstore.Directory {
	t.Helper()
	d, err := objectstore.OpenDirectory(t.Context(), path, objectstore.DirectoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
