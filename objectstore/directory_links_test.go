package objectstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/snapstack/snapstack/store"
)

func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
}

// A folder may become a link after the directory was opened, and after this process
// has put into it, read its names and noted that it is durable.
func TestLinksMadeLaterDoNotLeadOut(t *testing.T) {
	for name, target := range map[string]func(outside string) string{
		"absolute": func(outside string) string { return outside },
		"relative": func(outside string) string { return "../" + filepath.Base(outside) },
	} {
		t.Run(name, func(t *testing.T) {
			d, folder, now := indexed(t, 20)
			s, err := New(d, Options{Keep: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 1}); err != nil {
				t.Fatal(err)
			}
			wantListed(t, d, 20)
			*now = now.Add(fineSettled)
			wantListed(t, d, 20) // and remembered
			for _, within := range []string{folder, filepath.Join(d.path, "order-1")} {
				outside := d.path + "-" + filepath.Base(within)
				if err := os.Rename(within, outside); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := os.RemoveAll(outside); err != nil {
						t.Error(err)
					}
				})
				symlink(t, target(outside), within)
			}
			before := append(files(t, d.path+"-a"), files(t, d.path+"-order-1")...)

			wantFailure := func(op string, err error) {
				t.Helper()
				if err == nil || errors.Is(err, ErrNoObject) || errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s through a link that leads out: %v; want a failure", op, err)
				}
			}
			_, _, err = d.Get(t.Context(), "a/0000")
			wantFailure("Get", err)
			_, _, err = d.List(t.Context(), "a/", "", 1)
			wantFailure("List", err)
			wantFailure("Put", d.Put(t.Context(), "a/0000", []byte("new")))
			wantFailure("Put", d.Put(t.Context(), "a/b/c", []byte("new")))
			wantFailure("Create", d.Create(t.Context(), "a/new", []byte("new")))
			wantFailure("Delete", d.Delete(t.Context(), []string{"a/0000"}))
			_, err = s.LoadLatest(t.Context(), "order-1")
			wantFailure("LoadLatest", err)
			wantFailure("Save", s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 2}))
			wantFailure("Delete of a store", s.Delete(t.Context(), "order-1", 5))

			if after := append(files(t, d.path+"-a"), files(t, d.path+"-order-1")...); !slices.Equal(after, before) {
				t.Errorf("files outside are %q; want %q", after, before)
			}
			if body, err := os.ReadFile(filepath.Join(d.path+"-a", "0000")); err != nil || string(body) != "body" {
				t.Errorf("a file outside is %q, %v; want it as it was", body, err)
			}
		})
	}
}

// Opening sweeps, and not what a link leads to.
func TestSweepDoesNotFollowLinks(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	leftover := filepath.Join(outside, "~0123456789abcdef")
	if err := os.WriteFile(leftover, []byte("of another directory"), 0o666); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * leftoverAge)
	if err := os.Chtimes(leftover, old, old); err != nil {
		t.Fatal(err)
	}
	symlink(t, outside, filepath.Join(root, "a"))
	symlink(t, leftover, filepath.Join(root, "~0123456789abcdee")) // has the name of a leftover itself
	openTestDirectory(t, root)
	if got := files(t, outside); !slices.Equal(got, []string{"~0123456789abcdef"}) {
		t.Errorf("files outside are %q; want what was there", got)
	}
}

// A link that stays within the directory is followed when it is named, and does not
// make a listing from above yield its objects twice.
func TestLinksWithin(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	mustPut(t, d, "a/1", "one")
	symlink(t, "a", filepath.Join(root, "b"))
	symlink(t, "../b", filepath.Join(root, "a", "loop"))
	mustPut(t, d, "b/2", "two")
	if body, _, err := d.Get(t.Context(), "b/1"); err != nil || string(body) != "one" {
		t.Errorf("Get through a link within = %q, %v; want one", body, err)
	}
	for prefix, want := range map[string][]string{"": {"a/1", "a/2"}, "a/": {"a/1", "a/2"}, "b/": {"b/1", "b/2"}} {
		objects, _, err := d.List(t.Context(), prefix, "", 10)
		var keys []string
		for _, object := range objects {
			keys = append(keys, object.Key)
		}
		if err != nil || !slices.Equal(keys, want) {
			t.Errorf("List(%q) gives %q, %v; want %q", prefix, keys, err, want)
		}
	}
	// The folder that goes with its last object is not the link.
	if err := d.Delete(t.Context(), []string{"b/1", "b/2"}); err != nil {
		t.Error(err)
	}
	if target, err := os.Readlink(filepath.Join(root, "b")); err != nil || target != "a" {
		t.Errorf("the link is %q, %v; want it as it was", target, err)
	}
}

// The directory itself may be a link, as it is where a volume is mounted elsewhere. One
// that comes to lead to another directory is not followed there.
func TestDirectoryBehindALink(t *testing.T) {
	parent := t.TempDir()
	link := filepath.Join(parent, "link")
	for _, name := range []string{"one", "two"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	symlink(t, "one", link)
	d := openTestDirectory(t, link)
	mustPut(t, d, "a/1", "one")
	if got := files(t, filepath.Join(parent, "one")); !slices.Equal(got, []string{"a/1"}) {
		t.Errorf("files are %q; want a/1", got)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	symlink(t, "two", link)
	mustPut(t, d, "a/1", "new") // in the folder that is open
	if err := d.Put(t.Context(), "b/1", nil); err == nil {
		t.Error("Put created a folder behind a link that leads elsewhere now")
	}
	if _, _, err := d.Get(t.Context(), "c/1"); err == nil || errors.Is(err, ErrNoObject) {
		t.Errorf("Get of what is absent, behind a link that leads elsewhere now: %v; want a failure that says so", err)
	}
	if got := files(t, filepath.Join(parent, "two")); len(got) > 0 {
		t.Errorf("files in the other directory are %q; want none", got)
	}
}

func TestListsDoNotLeadOut(t *testing.T) {
	parent := t.TempDir()
	if err := os.WriteFile(filepath.Join(parent, "secret"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	d := openTestDirectory(t, filepath.Join(parent, "root"))
	mustPut(t, d, "a/1", "one")
	for _, prefix := range []string{"../", "a/../../", "/", filepath.ToSlash(parent) + "/"} {
		if objects, _, err := d.List(t.Context(), prefix, "", 10); err == nil || len(objects) > 0 {
			t.Errorf("List(%q) = %+v, %v; want an error", prefix, objects, err)
		}
	}
}
