// Package buckettest is the conformance suite of buckets: [Run] holds every duty
// written at objectstore.Bucket as a named subtest.
package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/snapstack/snapstack/objectstore"
)

// Run checks every duty of a bucket, and those of a Creator where it is one, each in a subtest of its own and on a bucket
// of its own. Open returns a new, empty bucket; Run closes it.
func Run(t *testing.T, open func(t *testing.T) objectstore.Bucket) {
	for _, duty := range []struct {
		name  string
		check func(t *testing.T, b objectstore.Bucket)
	}{
		{"GetReturnsWhatWasPut", getReturnsWhatWasPut},
		{"PutReplaces", putReplaces},
		{"AbsentIsErrNoObject", absentIsErrNoObject},
		{"GottenBodyBelongsToTheCaller", gottenBodyBelongsToTheCaller},
		{"KeysToTheirLimits", keysToTheirLimits},
		{"ListInByteOrder", listInByteOrder},
		{"ListAfterAKey", listAfterAKey},
		{"ListUnderAPrefix", listUnderAPrefix},
		{"ListPages", listPages},
		{"ListTellsSizes", listTellsSizes},
		{"TagsTellBodiesApart", tagsTellBodiesApart},
		{"DeleteMany", deleteMany},
		{"CreateNeverReplaces", createNeverReplaces},
		{"OneCreateWins", oneCreateWins},
		{"DeletedKeysCanBePutAgain", deletedKeysCanBePutAgain},
		{"EndedContextDoesNothing", endedContextDoesNothing},
		{"NobodySeesAPart", nobodySeesAPart},
		{"EveryoneSeesWhatWasDone", everyoneSeesWhatWasDone},
		{"ListMissesNothingThatStays", listMissesNothingThatStays},
	} {
		t.Run(duty.name, func(t *testing.T) {
			b := open(t)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			duty.check(t, b)
		})
	}
}

func getReturnsWhatWasPut(t *testing.T, b objectstore.Bucket) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for name, body := range map[string][]byte{
		"empty": {},
		"short": []byte("short"),
		"every": everyByte,
		"lines": []byte("a\r\nb\n\x00c\n"),
		"large": bytes.Repeat(everyByte, 20_000), // 5 MB
	} {
		put(t, b, "folder/"+name, string(body))
		wantBody(t, b, "folder/"+name, string(body))
	}
}

func putReplaces(t *testing.T, b objectstore.Bucket) {
	for _, body := range []string{"a long first body", "short", "", "a much, much longer body"} {
		put(t, b, "a/1", body)
		wantBody(t, b, "a/1", body)
		wantKeys(t, b, "", "a/1")
	}
}

func absentIsErrNoObject(t *testing.T, b objectstore.Bucket) {
	put(t, b, "a/b/1", "body")
	for _, key := range []string{"a", "a/b", "a/b/2", "a/b/1/c", "a/c/1", "b", "b/1"} {
		wantAbsent(t, b, key)
	}
}

func gottenBodyBelongsToTheCaller(t *testing.T, b objectstore.Bucket) {
	put(t, b, "a/1", "body")
	for range 3 {
		body, _, err := b.Get(t.Context(), "a/1")
		if err != nil || string(body) != "body" {
			t.Fatalf("Get = %q, %v; want body", body, err)
		}
		_ = append(body, "more"...)
		clear(body)
	}
}

func keysToTheirLimits(t *testing.T, b objectstore.Bucket) {
	segment := strings.Repeat("s", 200)
	keys := []string{
		"0/-",
		"A.b_c-9/Z..z",
		"a/...",
		"a/.b",
		segment + "/" + segment,
		"t/" + strings.Repeat(segment+"/", 5) + strings.Repeat("t", 17), // 1024 bytes
		"x",
	}
	for _, key := range keys {
		put(t, b, key, "body of "+key)
	}
	for _, key := range keys {
		wantBody(t, b, key, "body of "+key)
	}
	slices.Sort(keys)
	wantKeys(t, b, "", keys...)
	remove(t, b, keys...)
	wantKeys(t, b, "")
}

// orderedKeys are in byte order. It is not the order of the names in a folder: a
// folder "a" stands behind files and folders "a-" and "a.".
var orderedKeys = []string{"0/1", "a-/1", "a-b/1", "a.b", "a/0", "a/1", "a/9/1", "a/a/1", "a/a/2", "a0/1", "ab/1", "b", "b-1", "c/d/e/1", "c/d/e/2", "z/1"}

func putOrdered(t *testing.T, b objectstore.Bucket) {
	t.Helper()
	for _, key := range slices.Backward(orderedKeys) {
		put(t, b, key, key)
	}
}

func listInByteOrder(t *testing.T, b objectstore.Bucket) {
	wantKeys(t, b, "")
	putOrdered(t, b)
	wantKeys(t, b, "", orderedKeys...)
}

func listAfterAKey(t *testing.T, b objectstore.Bucket) {
	putOrdered(t, b)
	afters := slices.Concat(orderedKeys, []string{"!", "0", "a", "a-", "a.", "a/", "a/5", "a/9/", "a/a", "c/d/e", "c/d/f", "zz"})
	for _, prefix := range []string{"", "a/", "c/d/"} {
		for _, after := range afters {
			want := slices.DeleteFunc(slices.Clone(orderedKeys), func(key string) bool {
				return !strings.HasPrefix(key, prefix) || key <= after
			})
			if got := keysAfter(t, b, prefix, after, 1000); !slices.Equal(got, want) {
				t.Errorf("List(%q) after %q gives %q; want %q", prefix, after, got, want)
			}
			objects, more, err := b.List(t.Context(), prefix, after, 1)
			if err != nil || len(objects) != min(1, len(want)) || len(objects) == 1 && objects[0].Key != want[0] || len(want) > 1 && !more {
				t.Errorf("List(%q) after %q with a limit of 1 = %+v, %v, %v; want the first of %q", prefix, after, objects, more, err, want)
			}
		}
	}
}

func listUnderAPrefix(t *testing.T, b objectstore.Bucket) {
	putOrdered(t, b)
	wantKeys(t, b, "a/", "a/0", "a/1", "a/9/1", "a/a/1", "a/a/2")
	wantKeys(t, b, "a/a/", "a/a/1", "a/a/2")
	wantKeys(t, b, "c/", "c/d/e/1", "c/d/e/2")
	wantKeys(t, b, "ab/", "ab/1")
	wantKeys(t, b, "b/")
	wantKeys(t, b, "nothing/here/")
}

func listPages(t *testing.T, b objectstore.Bucket) {
	var want []string
	for i := range 25 {
		for j := range 45 { // 1125 keys: more than S3 lists at once
			want = append(want, fmt.Sprintf("%02d/%02d", i, j))
		}
	}
	for _, key := range want {
		put(t, b, key, "")
	}
	for _, limit := range []int{1, 7, 45, 1000, 1124, 1125, 5000} {
		got := keysAfter(t, b, "", "", limit)
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d give %d keys; want %d", limit, len(got), len(want))
		}
	}
}

func listTellsSizes(t *testing.T, b objectstore.Bucket) {
	for _, size := range []int{0, 1, 1000, 70_000} {
		put(t, b, "a/1", strings.Repeat("x", size))
		objects, _, err := b.List(t.Context(), "a/", "", 1)
		if err != nil || len(objects) != 1 || objects[0].Size != int64(size) {
			t.Errorf("List of an object of %d bytes = %+v, %v", size, objects, err)
		}
	}
}

func tagsTellBodiesApart(t *testing.T, b objectstore.Bucket) {
	seen := make(map[string]string) // body by tag
	for i := range 200 {
		body := fmt.Sprintf("%03d", i) // all of one size, and as fast as it goes
		put(t, b, "a/1", body)
		got, tag, err := b.Get(t.Context(), "a/1")
		if err != nil || string(got) != body {
			t.Fatalf("Get = %q, %v; want %q", got, err, body)
		}
		objects, _, err := b.List(t.Context(), "a/", "", 1)
		if err != nil || len(objects) != 1 || objects[0].ETag != tag {
			t.Fatalf("List = %+v, %v; want the tag %q that Get gave", objects, err, tag)
		}
		if other, found := seen[tag]; found {
			t.Fatalf("bodies %q and %q have the same tag %q", other, body, tag)
		}
		seen[tag] = body
	}
}

func deleteMany(t *testing.T, b objectstore.Bucket) {
	putOrdered(t, b)
	remove(t, b, "a/1", "absent", "a/absent", "absent/1", "c/d/e/1", "c/d/e", "c/d")
	want := slices.DeleteFunc(slices.Clone(orderedKeys), func(key string) bool { return key == "a/1" || key == "c/d/e/1" })
	wantKeys(t, b, "", want...)
	wantAbsent(t, b, "a/1")
	remove(t, b, "a/1")
	remove(t, b, want...)
	wantKeys(t, b, "")

	var keys []string
	for i := range 1000 {
		keys = append(keys, fmt.Sprintf("many/%d", i))
		put(t, b, keys[i], "")
	}
	remove(t, b, keys...)
	wantKeys(t, b, "")
}

// creator returns b as a Creator; where it is none, the test has nothing to check.
func creator(t *testing.T, b objectstore.Bucket) objectstore.Creator {
	t.Helper()
	c, ok := b.(objectstore.Creator)
	if !ok {
		t.Skip("the bucket is no Creator")
	}
	return c
}

func createNeverReplaces(t *testing.T, b objectstore.Bucket) {
	c := creator(t, b)
	for _, body := range []string{"one", ""} {
		if err := c.Create(t.Context(), "a/1", []byte(body)); err != nil {
			t.Fatalf("Create: %v", err)
		}
		for range 2 {
			if err := c.Create(t.Context(), "a/1", []byte("other")); !errors.Is(err, objectstore.ErrExists) {
				t.Errorf("Create at a key that is taken: %v; want ErrExists", err)
			}
			wantBody(t, b, "a/1", body)
			wantKeys(t, b, "", "a/1")
		}
		put(t, b, "a/1", "replaced") // Put does, also what was created
		wantBody(t, b, "a/1", "replaced")
		remove(t, b, "a/1")
		wantAbsent(t, b, "a/1")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Create(ended, "a/1", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Create with an ended context: %v; want an error matching context.Canceled", err)
	}
	wantKeys(t, b, "")
}

func oneCreateWins(t *testing.T, b objectstore.Bucket) {
	c := creator(t, b)
	for round := range 10 {
		key := fmt.Sprintf("%d/1", round)
		body := func(i int) string { return strings.Repeat(fmt.Sprint(i), 10_000) }
		errs := make([]error, 8)
		var start, wg sync.WaitGroup
		start.Add(1)
		for i := range errs {
			wg.Go(func() {
				start.Wait()
				errs[i] = c.Create(t.Context(), key, []byte(body(i)))
			})
		}
		start.Done()
		wg.Wait()
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("no Create of %d succeeded: %v", len(errs), errs)
		}
		for i, err := range errs {
			if i != winner && !errors.Is(err, objectstore.ErrExists) {
				t.Errorf("Create beside one that succeeded: %v; want ErrExists", err)
			}
		}
		wantBody(t, b, key, body(winner))
	}
}

func deletedKeysCanBePutAgain(t *testing.T, b objectstore.Bucket) {
	for i := range 5 {
		body := fmt.Sprint(i)
		put(t, b, "a/b/1", body)
		wantBody(t, b, "a/b/1", body)
		remove(t, b, "a/b/1")
		wantAbsent(t, b, "a/b/1")
		wantKeys(t, b, "a/")
	}
}

func endedContextDoesNothing(t *testing.T, b objectstore.Bucket) {
	put(t, b, "a/1", "body")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wantCanceled := func(method string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) || errors.Is(err, objectstore.ErrNoObject) {
			t.Errorf("%s with an ended context: %v; want an error matching context.Canceled", method, err)
		}
	}
	wantCanceled("Put", b.Put(ended, "a/1", []byte("other")))
	wantCanceled("Put", b.Put(ended, "a/2", []byte("other")))
	wantCanceled("Delete", b.Delete(ended, []string{"a/1"}))
	for _, key := range []string{"a/1", "absent/1"} {
		_, _, err := b.Get(ended, key)
		wantCanceled("Get", err)
	}
	for _, prefix := range []string{"", "a/", "absent/"} {
		_, _, err := b.List(ended, prefix, "", 1)
		wantCanceled("List", err)
	}
	wantBody(t, b, "a/1", "body")
	wantKeys(t, b, "", "a/1")
}

func nobodySeesAPart(t *testing.T, b objectstore.Bucket) {
	const size = 300_000
	body := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, size+i) }
	put(t, b, "a/1", string(body(0)))
	var done atomic.Bool
	var writers, readers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := range 30 {
				if err := b.Put(t.Context(), "a/1", body(2*i+w)); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for !done.Load() && !t.Failed() {
				got, _, err := b.Get(t.Context(), "a/1")
				if err != nil || !bytes.Equal(got, body(len(got)-size)) {
					t.Errorf("Get during Puts gave %d bytes that were not put together, or %v", len(got), err)
				}
				objects, _, err := b.List(t.Context(), "a/", "", 10)
				whole := func(object objectstore.Object) bool { return object.Key == "a/1" && object.Size >= size }
				if err != nil || !slices.ContainsFunc(objects, whole) {
					t.Errorf("List during Puts = %+v, %v; want the object whole", objects, err)
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
}

func everyoneSeesWhatWasDone(t *testing.T, b objectstore.Bucket) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			folder := fmt.Sprintf("%d/", g) // comes and goes
			key := folder + "1"
			for i := range 50 {
				body := fmt.Sprintf("%d by %d", i, g)
				if err := b.Put(t.Context(), key, []byte(body)); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				if got, _, err := b.Get(t.Context(), key); err != nil || string(got) != body {
					t.Errorf("Get after Put = %q, %v; want %q", got, err, body)
				}
				if !lists(t, b, folder, key) {
					t.Errorf("List after Put misses %q", key)
				}
				if err := b.Delete(t.Context(), []string{key}); err != nil {
					t.Errorf("Delete: %v", err)
					return
				}
				if got, _, err := b.Get(t.Context(), key); !errors.Is(err, objectstore.ErrNoObject) {
					t.Errorf("Get after Delete = %q, %v; want ErrNoObject", got, err)
				}
				if lists(t, b, folder, key) {
					t.Errorf("List after Delete still has %q", key)
				}
			}
		})
	}
	wg.Wait()
}

// listMissesNothingThatStays lists a folder in which some objects stay, some are
// replaced and others come and go.
func listMissesNothingThatStays(t *testing.T, b objectstore.Bucket) {
	const n = 60
	key := func(i int) string { return fmt.Sprintf("a/%03d", i) }
	for i := range n {
		if i%3 != 2 {
			put(t, b, key(i), "")
		}
	}
	var done atomic.Bool
	var writer, readers sync.WaitGroup
	writer.Go(func() {
		for round := range 3 {
			for i := range n {
				err := error(nil)
				switch {
				case i%3 == 1 || i%3 == 2 && round%2 == 0:
					err = b.Put(t.Context(), key(i), []byte{byte(round)})
				case i%3 == 2:
					err = b.Delete(t.Context(), []string{key(i)})
				}
				if err != nil {
					t.Errorf("Put or Delete: %v", err)
				}
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
				listed := make(map[string]bool)
				for _, object := range objects {
					listed[object.Key] = true
				}
				for i := range n {
					if i%3 != 2 && !listed[key(i)] {
						t.Errorf("List misses %q, which was there all the time", key(i))
					}
				}
			}
		})
	}
	writer.Wait()
	done.Store(true)
	readers.Wait()
}

func put(t *testing.T, b objectstore.Bucket, key, body string) {
	t.Helper()
	if err := b.Put(t.Context(), key, []byte(body)); err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
}

func remove(t *testing.T, b objectstore.Bucket, keys ...string) {
	t.Helper()
	if err := b.Delete(t.Context(), keys); err != nil {
		t.Fatalf("Delete of %d keys: %v", len(keys), err)
	}
}

func wantBody(t *testing.T, b objectstore.Bucket, key, want string) {
	t.Helper()
	got, _, err := b.Get(t.Context(), key)
	if err != nil || string(got) != want {
		t.Fatalf("Get(%q) = %.40q (%d bytes), %v; want %.40q (%d bytes)", key, got, len(got), err, want, len(want))
	}
}

func wantAbsent(t *testing.T, b objectstore.Bucket, key string) {
	t.Helper()
	if got, _, err := b.Get(t.Context(), key); !errors.Is(err, objectstore.ErrNoObject) {
		t.Errorf("Get(%q) = %.40q, %v; want ErrNoObject", key, got, err)
	}
}

// wantKeys checks all keys under the prefix.
func wantKeys(t *testing.T, b objectstore.Bucket, prefix string, want ...string) {
	t.Helper()
	if got := keysAfter(t, b, prefix, "", 1000); !slices.Equal(got, want) {
		t.Errorf("List(%q) gives %.300q; want %.300q", prefix, got, want)
	}
}

// keysAfter lists with the limit again and again until nothing follows.
func keysAfter(t *testing.T, b objectstore.Bucket, prefix, after string, limit int) []string {
	t.Helper()
	var keys []string
	for {
		objects, more, err := b.List(t.Context(), prefix, after, limit)
		if err != nil {
			t.Fatalf("List(%q) after %q: %v", prefix, after, err)
		}
		if len(objects) > limit {
			t.Fatalf("List(%q) after %q with a limit of %d gives %d objects", prefix, after, limit, len(objects))
		}
		for _, object := range objects {
			keys = append(keys, object.Key)
			after = object.Key
		}
		if !more {
			return keys
		}
		if len(objects) == 0 {
			t.Fatalf("List(%q) after %q gives nothing, but says that more follows", prefix, after)
		}
	}
}

// lists says whether key is in a listing of the folder.
func lists(t *testing.T, b objectstore.Bucket, folder, key string) bool {
	objects, _, err := b.List(t.Context(), folder, "", 1000)
	if err != nil {
		t.Errorf("List(%q): %v", folder, err)
	}
	return slices.ContainsFunc(objects, func(object objectstore.Object) bool { return object.Key == key })
}
