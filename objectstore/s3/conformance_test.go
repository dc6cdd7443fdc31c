package s3_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/buckettest"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestBucketOnServers(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		buckettest.Run(t, func(t *testing.T) objectstore.Bucket { return s.open(t, s.newBucket(t)) })
	})
}

// Whole stacks on whole servers, as people configure them: in one line of text.
func TestConformanceOnServers(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		for _, c := range []struct{ name, wrappers string }{
			{"alone", ""},
			{"stack", "cache | singleflight | zstd | "},
		} {
			t.Run(c.name, func(t *testing.T) {
				url := s.url(s.newBucket(t))
				var stores atomic.Int64 // each is to be empty, and has a prefix of its own
				storetest.Run(t, func(t *testing.T, sc storetest.Config) store.SnapshotStore {
					text := fmt.Sprintf("%sobjectstore(url=%q,prefix=s%d/,keep=%d)", c.wrappers, url, stores.Add(1), sc.Keep)
					opened, err := stack.Open(t.Context(), text)
					if err != nil {
						t.Fatal(err)
					}
					return opened
				})
			})
		}
	})
}
