package objectstore

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Names of files and folders in one folder that continue each other are where the order
// of keys is not that of names, and where a page may end.
func TestListingsOfRandomKeys(t *testing.T) {
	genSegment := rapid.StringOfN(rapid.RuneFrom([]rune("a-.0")), 1, 3, -1).Filter(isSegment)
	genKey := rapid.Map(rapid.SliceOfN(genSegment, 1, 3), func(segments []string) string { return path.Join(segments...) })
	parent := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		root, err := os.MkdirTemp(parent, "")
		if err != nil {
			rt.Fatal(err)
		}
		d, err := OpenDirectory(t.Context(), root, DirectoryOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() {
			if err := d.Close(); err != nil {
				rt.Error(err)
			}
		}()
		d.fsync = func(*os.File) error { return nil } // for speed: nothing crashes here
		var keys []string
		for _, key := range rapid.SliceOfN(genKey, 0, 12).Draw(rt, "keys") {
			within := func(other string) bool {
				return strings.HasPrefix(key+"/", other+"/") || strings.HasPrefix(other+"/", key+"/")
			}
			if slices.ContainsFunc(keys, within) {
				continue // one is a path prefix of the other
			}
			if err := d.Put(t.Context(), key, nil); err != nil {
				rt.Fatal(err)
			}
			keys = append(keys, key)
		}
		slices.Sort(keys)
		prefix := rapid.SampledFrom([]string{"", "", "a/", "a-/", "a./", "0/a/"}).Draw(rt, "prefix")
		after := rapid.OneOf(rapid.Just(""), genKey, rapid.SampledFrom(append(keys, ""))).Draw(rt, "after")
		limit := rapid.IntRange(1, 4).Draw(rt, "limit")
		var want, got []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) && key > after {
				want = append(want, key)
			}
		}
		for more := true; more; {
			var objects []Object
			objects, more, err = d.List(t.Context(), prefix, after, limit)
			if err != nil || len(objects) > limit || more && len(objects) < limit {
				rt.Fatalf("List(%q) after %q gives %d of %d objects, %v, %v", prefix, after, len(objects), limit, more, err)
			}
			for _, object := range objects {
				got = append(got, object.Key)
				after = object.Key
			}
		}
		if !slices.Equal(got, want) {
			rt.Errorf("of %q, %d at a time, List gives %q; want %q", keys, limit, got, want)
		}

		// To ask for types at once or not makes no difference.
		w := walk{d: d, after: "", limit: 1000}
		for _, folder := range []string{".", "a", "a-", "a."} {
			var described [2][]walkEntry
			for i, typed := range []bool{false, true} {
				_, entries, err := d.names(folder, typed)
				if err != nil {
					rt.Fatal(err)
				}
				if described[i], err = w.describe(entries); err != nil {
					rt.Fatal(err)
				}
			}
			if !slices.Equal(described[0], described[1]) {
				rt.Errorf("entries of %q without types are %+v, and with them %+v", folder, described[0], described[1])
			}
		}
	})
}

// A name that goes between the reading of names and that of its tag makes the listing
// start again, from which on the names of folders that go are passed over.
func TestListingStartsAgain(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	for _, key := range []string{"a/1", "a-/1", "b/1", "c/1"} {
		mustPut(t, d, key, "body")
	}
	_, untyped, err := d.names(".", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/1", "b/1"} {
		if err := d.Delete(t.Context(), []string{key}); err != nil {
			t.Fatal(err)
		}
	}
	w := walk{d: d, limit: 10}
	if entries, err := w.describe(untyped); !isAbsent(err) {
		t.Errorf("entries of which one went = %+v, %v; want that it is absent", entries, err)
	}
	entries, err := w.entries(t.Context(), ".")
	if want := []walkEntry{{key: "a-/"}, {key: "c/"}}; err != nil || !slices.Equal(entries, want) {
		t.Errorf("entries = %+v, %v; want %+v", entries, err, want)
	}
}
