package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformanceOnMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return newStore(t, objectstore.NewMemoryBucket(), objectstore.Options{Keep: c.Keep})
	})
}

func TestConformanceOnDirectory(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return newStore(t, openDirectory(t, t.TempDir()), objectstore.Options{Keep: c.Keep, Prefix: "some/prefix/"})
	})
}

func newStore(t testing.TB, bucket objectstore.Bucket, opts objectstore.Options) *objectstore.Store {
	t.Helper()
	s, err := objectstore.New(bucket, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewRefusesBadOptions(t *testing.T) {
	for name, c := range map[string]struct {
		bucket objectstore.Bucket
		opts   objectstore.Options
		named  string // in the error
	}{
		"nil bucket":    {nil, objectstore.Options{}, "bucket"},
		"negative Keep": {objectstore.NewMemoryBucket(), objectstore.Options{Keep: -1}, "Keep -1"},
		"bad Prefix":    {objectstore.NewMemoryBucket(), objectstore.Options{Prefix: "../up/"}, `Prefix "../up/"`},
	} {
		s, err := objectstore.New(c.bucket, c.opts)
		if s != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), c.named) || !strings.Contains(err.Error(), "objectstore") {
			t.Errorf("New with a %s: %v; want ErrInvalid that names %s", name, err, c.named)
		}
	}
}

func TestNowIsInjectable(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC)
	s := newStore(t, objectstore.NewMemoryBucket(), objectstore.Options{Now: func() time.Time { return at }})
	save(t, s, "order-1", 1, "state")
	got, err := s.LoadLatest(t.Context(), "order-1")
	if err != nil || !got.Timestamp.Equal(at) {
		t.Errorf("timestamp %v, %v; want %v", got.Timestamp, err, at)
	}
}

func TestPrefixesDoNotMeet(t *testing.T) {
	bucket := objectstore.NewMemoryBucket()
	var stores []*objectstore.Store
	// Each begins the next, and "a/" looks like the folder of the id "a".
	for _, prefix := range []string{"", "a/", "a/b/", "ab/"} {
		stores = append(stores, newStore(t, bucket, objectstore.Options{Prefix: prefix, Keep: 2}))
	}
	for i, s := range stores {
		for nr := range uint64(4) {
			save(t, s, "a", nr, fmt.Sprint(i))
			save(t, s, "b", nr, fmt.Sprint(i))
		}
	}
	remove(t, stores[0], "a", 100)
	remove(t, stores[1], "b", 100)
	for i, s := range stores {
		var ids []string
		for info, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, info.PersistenceID)
		}
		want := []string{"a", "a", "b", "b"}
		switch i {
		case 0:
			want = want[2:]
		case 1:
			want = want[:2]
		}
		if !slices.Equal(ids, want) {
			t.Errorf("store %d lists %v; want %v", i, ids, want)
		}
		for _, id := range slices.Compact(want) {
			wantLatest(t, s, id, 3, fmt.Sprint(i))
		}
	}
}

func TestForeignKeysAreLeftAlone(t *testing.T) {
	bucket := newHooked()
	s := newStore(t, bucket, objectstore.Options{Prefix: "p/", Keep: 1})
	hashed := strings.Repeat("long", 100)
	folders := []string{"p/order-1/"}
	save(t, s, hashed, 1, "one")
	objects, _, err := bucket.inner.List(t.Context(), "p/", "", 1)
	if err != nil || len(objects) != 1 {
		t.Fatal(objects, err)
	}
	folders = append(folders, objects[0].Key[:len("p/_h")+64+1])

	foreign := []string{
		"README", "p", "p.txt", "p/README", "p/7ffffffffffffff0", "p/A/7ffffffffffffff0", "p/_61/7ffffffffffffff0",
		"p/_h12/7ffffffffffffff0", "q/order-1/7ffffffffffffff0", "p/order-1-/0", "p/order-1.7ffffffffffffff0",
	}
	for _, folder := range folders {
		foreign = append(foreign, folder+"-", folder+"0", folder+"0000000000000000/x", folder+"7FFFFFFFFFFFFFF0", folder+"7ffffffffffffff00", folder+"8000000000000000", folder+"~tmp", folder+"sub/7ffffffffffffff0")
		for i := range 1100 { // more than a page, ahead of all numbers
			foreign = append(foreign, fmt.Sprintf("%s.%d", folder, i))
		}
	}
	for _, key := range foreign {
		if err := bucket.inner.Put(t.Context(), key, []byte("foreign")); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"order-1", hashed} {
		if id != hashed {
			if _, err := s.LoadLatest(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("LoadLatest of %.20q beside foreign keys: %v; want ErrNotFound", id, err)
			}
		}
		for nr := range uint64(3) {
			save(t, s, id, 5+nr, "state")
			wantLatest(t, s, id, 5+nr, "state")
			wantNumbers(t, s, id, 5+nr)
		}
	}
	var listed []string
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, info.PersistenceID)
	}
	if want := []string{hashed, "order-1"}; !slices.Equal(listed, want) {
		t.Errorf("List yields %.30q; want %.30q", listed, want)
	}
	remove(t, s, "order-1", 100)
	remove(t, s, hashed, 100)
	for _, key := range foreign {
		if body, _, err := bucket.inner.Get(t.Context(), key); err != nil || string(body) != "foreign" {
			t.Errorf("foreign object %q is %q, %v; want it as it was", key, body, err)
		}
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("List after deleting all yields %+v, %v", info, err)
	}
}

func TestDamagedObjectsAreCorrupt(t *testing.T) {
	bucket := newHooked()
	s := newStore(t, bucket, objectstore.Options{})
	save(t, s, "order-1", 5, "five of 1")
	save(t, s, "order-1", 7, "seven of 1")
	save(t, s, "order-2", 7, "seven of 2")
	key := map[string]string{"1 at 5": "order-1/7ffffffffffffffa", "1 at 7": "order-1/7ffffffffffffff8", "2 at 7": "order-2/7ffffffffffffff8"}
	body := make(map[string][]byte)
	for name, key := range key {
		var err error
		if body[name], _, err = bucket.inner.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	flipped := bytes.Clone(body["1 at 7"])
	flipped[len(flipped)-1] ^= 1
	for name, damaged := range map[string][]byte{
		"empty":                   {},
		"cut":                     body["1 at 7"][:60],
		"extended":                append(bytes.Clone(body["1 at 7"]), 0),
		"flipped":                 flipped,
		"that of another id":      body["2 at 7"],
		"that of another number":  body["1 at 5"],
		"replaced by other bytes": []byte("an object that somebody else put there, of some length"),
	} {
		if err := bucket.inner.Put(t.Context(), key["1 at 7"], damaged); err != nil {
			t.Fatal(err)
		}
		check := func(op string, snap store.Snapshot, err error) {
			t.Helper()
			var named *store.Error
			if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.Op != op || named.PersistenceID != "order-1" || named.SequenceNr != 7 || snap.State != nil {
				t.Errorf("%s of an object %s = %+v, %v; want ErrCorrupt of order-1 at 7", op, name, snap, err)
			}
			if err != nil && !strings.Contains(err.Error(), key["1 at 7"]) {
				t.Errorf("%s of an object %s: %q does not name the object", op, name, err)
			}
		}
		snap, err := s.LoadLatest(t.Context(), "order-1")
		check(store.OpLoadLatest, snap, err)
		snap, err = s.LoadBefore(t.Context(), "order-1", 100)
		check(store.OpLoadBefore, snap, err)
		if snap, err := s.LoadBefore(t.Context(), "order-1", 7); err != nil || string(snap.State) != "five of 1" {
			t.Errorf("LoadBefore beneath an object %s = %q, %v; want five of 1", name, snap.State, err)
		}
		wantNumbers(t, s, "order-1", 7, 5) // a listing looks at keys
	}
}

func TestListFindsTheIDOfAHashBehindDamage(t *testing.T) {
	id := strings.Repeat("long", 100)
	for name, c := range map[string]struct {
		damage func(t *testing.T, bucket *hooked, keys []string)
		want   []uint64
		err    error
	}{
		"newest removed meanwhile": {func(t *testing.T, bucket *hooked, keys []string) {
			bucket.before = func(request, key string) error {
				if request == "get" && key == keys[0] {
					return objectstore.ErrNoObject
				}
				return nil
			}
		}, []uint64{3, 2, 1}, nil},
		"all removed meanwhile": {func(t *testing.T, bucket *hooked, keys []string) {
			bucket.before = func(request, _ string) error {
				if request == "get" {
					return objectstore.ErrNoObject
				}
				return nil
			}
		}, nil, nil},
		"newest two damaged": {func(t *testing.T, bucket *hooked, keys []string) {
			for _, key := range keys[:2] {
				if err := bucket.inner.Put(t.Context(), key, []byte("damaged")); err != nil {
					t.Fatal(err)
				}
			}
		}, []uint64{3, 2, 1}, nil},
		"all damaged": {func(t *testing.T, bucket *hooked, keys []string) {
			for _, key := range keys {
				if err := bucket.inner.Put(t.Context(), key, []byte("damaged")); err != nil {
					t.Fatal(err)
				}
			}
		}, nil, store.ErrCorrupt},
		"that of another id": {func(t *testing.T, bucket *hooked, keys []string) {
			other := newStore(t, bucket.inner, objectstore.Options{})
			save(t, other, "short", 1, "state")
			body, _, err := bucket.inner.Get(t.Context(), "short/7ffffffffffffffe")
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				if err := bucket.inner.Put(t.Context(), key, body); err != nil {
					t.Fatal(err)
				}
			}
			remove(t, other, "short", 1)
		}, nil, store.ErrCorrupt},
		"unreachable": {func(t *testing.T, bucket *hooked, keys []string) {
			bucket.before = func(request, _ string) error {
				if request == "get" {
					return io.ErrUnexpectedEOF
				}
				return nil
			}
		}, nil, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := newHooked()
			s := newStore(t, bucket, objectstore.Options{})
			for nr := range uint64(3) {
				save(t, s, id, nr+1, "state")
			}
			objects, _, err := bucket.inner.List(t.Context(), "", "", 10)
			if err != nil {
				t.Fatal(err)
			}
			var keys []string
			for _, object := range objects {
				keys = append(keys, object.Key)
			}
			c.damage(t, bucket, keys)
			var got []uint64
			var failed error
			for info, err := range s.List(t.Context(), "") {
				if failed = err; err != nil {
					break
				}
				if info.PersistenceID != id {
					t.Errorf("List yields the id %.20q", info.PersistenceID)
				}
				got = append(got, info.SequenceNr)
			}
			if !slices.Equal(got, c.want) || !errors.Is(failed, c.err) {
				t.Errorf("List yields %v, %v; want %v, %v", got, failed, c.want, c.err)
			}
		})
	}
}

// lying is a bucket whose lists are not what Bucket says.
type lying struct {
	objectstore.Bucket
	objects []objectstore.Object
	more    bool
}

func (l lying) List(context.Context, string, string, int) ([]objectstore.Object, bool, error) {
	return l.objects, l.more, nil
}

func TestListsThatBreakTheRulesAreErrors(t *testing.T) {
	const folder = "order-1/"
	for name, bucket := range map[string]lying{
		"nothing, but more": {more: true},
		"outside":           {objects: []objectstore.Object{{Key: "order-2/7ffffffffffffff0"}}},
		"out of order":      {objects: []objectstore.Object{{Key: folder + "7ffffffffffffff1"}, {Key: folder + "7ffffffffffffff0"}}},
		"twice":             {objects: []objectstore.Object{{Key: folder + "7ffffffffffffff1"}, {Key: folder + "7ffffffffffffff1"}}},
	} {
		bucket.Bucket = objectstore.NewMemoryBucket()
		s := newStore(t, bucket, objectstore.Options{})
		if _, err := s.LoadLatest(t.Context(), "order-1"); err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "bucket lists") {
			t.Errorf("LoadLatest over a list with %s: %v; want an error that says so", name, err)
		}
		if err := s.Delete(t.Context(), "order-1", 100); err == nil || !strings.Contains(err.Error(), "bucket lists") {
			t.Errorf("Delete over a list with %s: %v; want an error that says so", name, err)
		}
	}
}

func TestFailuresAreNotErrNotFound(t *testing.T) {
	failure := errors.New("wire cut")
	for _, failing := range []string{"put", "get", "list", "delete"} {
		bucket := newHooked()
		s := newStore(t, bucket, objectstore.Options{})
		save(t, s, "order-1", 1, "one")
		bucket.before = func(request, _ string) error {
			if request == failing {
				return failure
			}
			return nil
		}
		_, latest := s.LoadLatest(t.Context(), "order-1")
		_, before := s.LoadBefore(t.Context(), "order-1", 7)
		for op, err := range map[string]error{
			"LoadLatest": latest,
			"LoadBefore": before,
			"Save":       s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 2}),
			"Delete":     s.Delete(t.Context(), "order-1", 5),
		} {
			needs := map[string]string{"LoadLatest": "list get", "LoadBefore": "list get", "Save": "put", "Delete": "list delete"}[op]
			if fails := strings.Contains(needs, failing); errors.Is(err, failure) != fails || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s with a failing %s: %v", op, failing, err)
			}
		}
	}
}
