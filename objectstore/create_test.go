package objectstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

func TestCreateOnly(t *testing.T) {
	for name, bucket := range map[string]objectstore.Bucket{
		"memory":    objectstore.NewMemoryBucket(),
		"directory": openDirectory(t, t.TempDir()),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, bucket, objectstore.Options{CreateOnly: true, Keep: 2})
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			save(t, s, "order-1", 5, "five")
			err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 5, State: []byte("other")})
			var named *store.Error
			if !errors.Is(err, objectstore.ErrExists) || !errors.As(err, &named) || named.PersistenceID != "order-1" || named.SequenceNr != 5 {
				t.Errorf("Save at a number that is taken: %v; want ErrExists of order-1 at 5", err)
			}
			wantLatest(t, s, "order-1", 5, "five")
			save(t, s, "order-2", 5, "five") // of another id
			for nr := uint64(6); nr < 10; nr++ {
				save(t, s, "order-1", nr, "state")
			}
			wantNumbers(t, s, "order-1", 9, 8) // it prunes like any other
			save(t, s, "order-1", 5, "again")  // which is not there any more
			remove(t, s, "order-1", 100)
			save(t, s, "order-1", 9, "nine")
			wantLatest(t, s, "order-1", 9, "nine")
		})
	}
}

func TestCreateOnlyNeedsACreator(t *testing.T) {
	bucket := struct{ objectstore.Bucket }{objectstore.NewMemoryBucket()}
	if s, err := objectstore.New(bucket, objectstore.Options{CreateOnly: true}); s != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "CreateOnly") {
		t.Errorf("New with CreateOnly over a bucket that can't: %v; want ErrInvalid that names it", err)
	}
}

// Writers of one id and number in several processes, which share no turns: what stays
// is one of them, whole; and with CreateOnly it is that of the one who was told so.
func TestWritersOfOneNumber(t *testing.T) {
	for _, createOnly := range []bool{false, true} {
		for _, bucket := range []string{"memory", "directory"} {
			t.Run(fmt.Sprint(bucket, " create_only=", createOnly), func(t *testing.T) {
				directory, memory := t.TempDir(), objectstore.NewMemoryBucket()
				const writers = 4
				var stores []*objectstore.Store
				for range writers {
					var b objectstore.Bucket = memory
					if bucket == "directory" {
						b = openDirectory(t, directory)
					}
					stores = append(stores, newStore(t, b, objectstore.Options{CreateOnly: createOnly}))
				}
				state := func(i int) string { return strings.Repeat(string(rune('a'+i)), 50_000+i) }
				for nr := range uint64(20) {
					errs := make([]error, writers)
					var wg sync.WaitGroup
					for i, s := range stores {
						wg.Go(func() {
							errs[i] = s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: nr, State: []byte(state(i))})
						})
					}
					wg.Wait()
					snap, err := stores[0].LoadLatest(t.Context(), "order-1")
					if err != nil || snap.SequenceNr != nr {
						t.Fatalf("LoadLatest = %d, %v; want %d", snap.SequenceNr, err, nr)
					}
					stays := len(snap.State) - 50_000
					if stays < 0 || stays >= writers || string(snap.State) != state(stays) {
						t.Errorf("%d bytes stay, which nobody saved", len(snap.State))
						continue
					}
					for i, err := range errs {
						switch {
						case !createOnly && err != nil, createOnly && i == stays && err != nil:
							t.Errorf("Save: %v", err)
						case createOnly && i != stays && !errors.Is(err, objectstore.ErrExists):
							t.Errorf("Save beside another of the number: %v; want ErrExists", err)
						}
					}
				}
				for _, s := range stores {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}
