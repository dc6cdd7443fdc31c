package objectstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapstack/snapstack/store"
)

func openTestDirectory(t *testing.T, path string) *Directory {
	t.Helper()
	d, err := OpenDirectory(t.Context(), path, DirectoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

func mustPut(t *testing.T, d *Directory, key, body string) {
	t.Helper()
	if err := d.Put(t.Context(), key, []byte(body)); err != nil {
		t.Fatalf("Put(%q): %v", key, err)
	}
}

// files returns the paths of all files and of empty folders (these end in "/")
// beneath the directory.
func files(t *testing.T, directory string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == directory {
			return err
		}
		relative, err := filepath.Rel(directory, path)
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			paths = append(paths, filepath.ToSlash(relative))
			return nil
		}
		inside, err := os.ReadDir(path)
		if len(inside) == 0 {
			paths = append(paths, filepath.ToSlash(relative)+"/")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestDirectoryKeepsObjectsAtTheirKeys(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	mustPut(t, d, "p/order-1/1", "one")
	mustPut(t, d, "p/order-1/2", "two")
	mustPut(t, d, "top", "level")
	if body, err := os.ReadFile(filepath.Join(root, "p", "order-1", "2")); err != nil || string(body) != "two" {
		t.Errorf("file of p/order-1/2 is %q, %v; want two", body, err)
	}
	if got, want := files(t, root), []string{"p/order-1/1", "p/order-1/2", "top"}; !slices.Equal(got, want) {
		t.Errorf("files are %q; want %q", got, want)
	}
	if err := d.Delete(t.Context(), []string{"p/order-1/1", "p/order-1/2"}); err != nil {
		t.Fatal(err)
	}
	if got, want := files(t, root), []string{"p/", "top"}; !slices.Equal(got, want) { // the folder went with its last object
		t.Errorf("after Delete the files are %q; want %q", got, want)
	}
}

// A Put that has returned must survive a crash: the file before it is renamed, its
// name, and the names of the folders above it.
func TestPutSynchronises(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	var synced []string
	d.fsync = func(f *os.File) error {
		name, err := filepath.Rel(root, f.Name())
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.ToSlash(name)
		if at := strings.Index(name, "~"); at >= 0 {
			name = name[:at] + "~"
			if body, err := os.ReadFile(f.Name()); err != nil || string(body) != "body" {
				t.Errorf("the temporary file is synchronised with %q in it, %v; want body", body, err)
			}
		}
		_, err = os.Stat(filepath.Join(root, "p", "a", "1"))
		synced = append(synced, fmt.Sprint(name, " ", err == nil)) // whether the object is at its key yet
		return f.Sync()
	}
	want := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(synced, want) {
			t.Errorf("%s synchronises %q; want %q", what, synced, want)
		}
		synced = nil
	}
	mustPut(t, d, "p/a/1", "body")
	want("the first Put", "p/a/~ false", "p/a true", "p true", ". true")
	mustPut(t, d, "p/a/2", "body")
	want("a Put into a folder that is durable", "p/a/~ true", "p/a true")
	mustPut(t, d, "p/b/2", "body")
	want("a Put into a new folder", "p/b/~ true", "p/b true", "p true")
	if err := d.Delete(t.Context(), []string{"p/a/2"}); err != nil {
		t.Fatal(err)
	}
	want("Delete", "p/a true")
	mustPut(t, d, "p/a/2", "body")
	want("a Put into a folder that stayed", "p/a/~ true", "p/a true")
	if err := d.Delete(t.Context(), []string{"p/a/1", "p/a/2"}); err != nil {
		t.Fatal(err)
	}
	want("Delete of all in the folder", "p/a false")
	mustPut(t, d, "p/a/1", "body")
	want("a Put into a folder that was removed", "p/a/~ false", "p/a true", "p true")

	// Another process, or this one after a crash, may find folders that nobody has
	// made durable.
	synced = nil
	again := openTestDirectory(t, root)
	again.fsync = d.fsync
	mustPut(t, again, "p/a/2", "body")
	want("the first Put of another process", "p/a/~ true", "p/a true", "p true", ". true")

	// A folder that one process removes and another creates is a new one to both.
	removeBoth := func(d *Directory) {
		t.Helper()
		if err := d.Delete(t.Context(), []string{"p/a/1", "p/a/2"}); err != nil {
			t.Fatal(err)
		}
		synced = nil
	}
	removeBoth(d)
	mustPut(t, again, "p/a/1", "body")
	want("a Put into a folder that another process removed", "p/a/~ false", "p/a true", "p true")
	mustPut(t, d, "p/a/2", "body")
	want("a Put into a folder that another process created anew", "p/a/~ true", "p/a true", "p true")
}

// What is put into a directory must not be lost with the directory.
func TestOpenDirectorySynchronisesWhatItCreates(t *testing.T) {
	parent := t.TempDir()
	var synced []string
	for _, want := range [][]string{{parent}, nil} { // the second time it is there
		synced = nil
		d, err := openDirectory(t.Context(), filepath.Join(parent, "root"), DirectoryOptions{}, func(f *os.File) error {
			synced = append(synced, f.Name())
			return f.Sync()
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if !slices.Equal(synced, want) {
			t.Errorf("OpenDirectory synchronises %q; want %q", synced, want)
		}
	}
	failure := errors.New("disk gone")
	_, err := openDirectory(t.Context(), filepath.Join(parent, "other"), DirectoryOptions{}, func(*os.File) error { return failure })
	if !errors.Is(err, failure) {
		t.Errorf("OpenDirectory whose directory can't be synchronised: %v; want the failure", err)
	}
	if got := files(t, parent); !slices.Equal(got, []string{"root/"}) { // else the next would take it for durable
		t.Errorf("files are %q; want the first directory alone", got)
	}
}

// Two bodies of one size must not have the same tag, however coarse the clock is.
func TestModificationTimesAreUnique(t *testing.T) {
	root := t.TempDir()
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	d, err := OpenDirectory(t.Context(), root, DirectoryOptions{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i := range 5 {
		mustPut(t, d, "a/1", fmt.Sprint(i))
		info, err := os.Stat(filepath.Join(root, "a", "1"))
		if want := at.Add(time.Duration(i) * time.Microsecond); err != nil || !info.ModTime().Equal(want) {
			t.Errorf("modification time of the Put number %d is %v, %v; want %v", i+1, info.ModTime(), err, want)
		}
	}
}

func TestFailingSynchronisationFailsThePut(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	mustPut(t, d, "a/1", "old")
	failure := errors.New("disk gone")
	for _, failing := range []string{"~", "b", root} { // the file, its folder, the parent of that
		d.fsync = func(f *os.File) error {
			if strings.HasPrefix(filepath.Base(f.Name()), failing) || f.Name() == failing || f.Name() == root+"/." && failing == root {
				return failure
			}
			return f.Sync()
		}
		if err := d.Put(t.Context(), "b/1", []byte("new")); !errors.Is(err, failure) {
			t.Errorf("Put when %s can't be synchronised: %v; want the failure", failing, err)
		}
		if failing == "~" {
			if err := d.Put(t.Context(), "a/1", []byte("new")); !errors.Is(err, failure) {
				t.Errorf("Put when its file can't be synchronised: %v; want the failure", err)
			}
			// Nothing of the attempts is left, and what was there still is.
			if got, want := files(t, root), []string{"a/1"}; !slices.Equal(got, want) {
				t.Errorf("files are %q; want %q", got, want)
			}
			if body, _, err := d.Get(t.Context(), "a/1"); err != nil || string(body) != "old" {
				t.Errorf("Get = %q, %v; want old", body, err)
			}
		}
	}
	d.fsync = func(f *os.File) error { return failure }
	if err := d.Delete(t.Context(), []string{"a/1"}); !errors.Is(err, failure) {
		t.Errorf("Delete when the folder can't be synchronised: %v; want the failure", err)
	}
}

func TestLeftoversAreNeverListedAndSwept(t *testing.T) {
	root := t.TempDir()
	now := time.Now()
	d := openTestDirectory(t, root)
	mustPut(t, d, "a/1", "one")
	age := map[string]time.Duration{
		"a/~00000000000000aa":     61 * time.Minute,
		"a/~00000000000000bb":     59 * time.Minute, // may be a Put of another process
		"a/b/~00000000000000cc":   100 * time.Hour,  // alone in its folder
		"~00000000000000dd":       2 * time.Hour,
		"a/~not-one-of-ours":      100 * time.Hour,
		"a/~00000000000000AA":     100 * time.Hour,
		"a b/~00000000000000ee":   100 * time.Hour, // in a folder that is none of ours
		"~00000000000000ff/empty": 100 * time.Hour, // a folder
	}
	for name, age := range age {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("half of a bo"), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	objects, _, err := d.List(t.Context(), "", "", 100)
	if err != nil || len(objects) != 1 || objects[0].Key != "a/1" {
		t.Errorf("List = %+v, %v; want a/1 alone", objects, err)
	}
	for name := range age {
		if body, _, err := d.Get(t.Context(), name); err == nil {
			t.Errorf("Get(%q) = %q; want an error", name, body)
		}
	}

	swept, err := OpenDirectory(t.Context(), root, DirectoryOptions{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := swept.Close(); err != nil {
		t.Error(err)
	}
	want := []string{"a b/~00000000000000ee", "a/1", "a/~00000000000000AA", "a/~00000000000000bb", "a/~not-one-of-ours", "~00000000000000ff/empty"}
	if got := files(t, root); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("after the next open the files are %q; want %q", got, want)
	}
}

// A process that opens the directory must not disturb a Put that another one is
// in the middle of.
func TestOpeningLeavesAPutAlone(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	d.fsync = func(f *os.File) error {
		d.fsync = (*os.File).Sync
		openTestDirectory(t, root)
		return f.Sync()
	}
	mustPut(t, d, "a/1", "one")
	if body, _, err := d.Get(t.Context(), "a/1"); err != nil || string(body) != "one" {
		t.Errorf("Get = %q, %v; want one", body, err)
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "1")
	if err := os.WriteFile(secret, []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"folder": outside, "up": "../" + filepath.Base(outside), "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "a"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(root, "a", "1")); err != nil {
		t.Fatal(err)
	}
	d := openTestDirectory(t, root)
	if objects, _, err := d.List(t.Context(), "", "", 100); err != nil || len(objects) != 0 {
		t.Errorf("List = %+v, %v; want nothing", objects, err)
	}
	for _, folder := range []string{"folder", "up"} {
		key := folder + "/1"
		if body, _, err := d.Get(t.Context(), key); err == nil || errors.Is(err, ErrNoObject) {
			t.Errorf("Get(%q) = %q, %v; want an error that is not ErrNoObject", key, body, err)
		}
		if objects, _, err := d.List(t.Context(), folder+"/", "", 100); err == nil {
			t.Errorf("List(%q) = %+v; want an error", folder, objects)
		}
		if err := d.Put(t.Context(), key, []byte("new")); err == nil {
			t.Errorf("Put(%q) went through the link", key)
		}
		if err := d.Delete(t.Context(), []string{key}); err == nil {
			t.Errorf("Delete(%q) went through the link", key)
		}
	}
	if err := d.Put(t.Context(), "dangling/1", nil); err == nil {
		t.Error("Put went through a link that leads nowhere")
	}
	if body, _, err := d.Get(t.Context(), "a/1"); !errors.Is(err, ErrNoObject) {
		t.Errorf("Get of a link = %q, %v; want ErrNoObject", body, err)
	}
	if err := d.Delete(t.Context(), []string{"a/1"}); err != nil {
		t.Errorf("Delete of a link: %v; want nil, for there is no object", err)
	}
	mustPut(t, d, "a/1", "in place of the link")
	if body, err := os.ReadFile(secret); err != nil || string(body) != "secret" {
		t.Errorf("the file outside is %q, %v; want it as it was", body, err)
	}
	if got := files(t, outside); !slices.Equal(got, []string{"1"}) {
		t.Errorf("files outside are %q; want 1 alone", got)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	parent := t.TempDir()
	d := openTestDirectory(t, filepath.Join(parent, "root"))
	for _, key := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a b", "a\\b", "~0123456789abcdef", "a/~0123456789abcdef", "a\x00", strings.Repeat("x", 201)} {
		if err := d.Put(t.Context(), key, nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Put(%q): %v; want ErrInvalid", key, err)
		}
		if _, _, err := d.Get(t.Context(), key); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Get(%q): %v; want ErrInvalid", key, err)
		}
		if err := d.Delete(t.Context(), []string{key}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Delete(%q): %v; want ErrInvalid", key, err)
		}
	}
	if got := files(t, parent); !slices.Equal(got, []string{"root/"}) {
		t.Errorf("files are %q; want none", got)
	}
}

func TestOpenDirectoryCreatesTheLastElementOnly(t *testing.T) {
	parent := t.TempDir()
	d := openTestDirectory(t, filepath.Join(parent, "new"))
	mustPut(t, d, "a/1", "one")
	if got := files(t, parent); !slices.Equal(got, []string{"new/a/1"}) {
		t.Errorf("files are %q; want new/a/1", got)
	}
	again := openTestDirectory(t, filepath.Join(parent, "new"))
	if body, _, err := again.Get(t.Context(), "a/1"); err != nil || string(body) != "one" {
		t.Errorf("Get after opening again = %q, %v; want one", body, err)
	}

	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		"":                                      "empty",
		filepath.Join(parent, "absent", "new"):  "parent",
		file:                                    "no directory",
		filepath.Join(file, "new"):              "no directory",
		filepath.Join(parent, "new", "a", "1"):  "no directory",
		filepath.Join(parent, "new", "a", "1b"): "",
	} {
		d, err := OpenDirectory(t.Context(), path, DirectoryOptions{})
		if says == "" {
			if err != nil {
				t.Errorf("OpenDirectory(%q): %v", path, err)
				continue
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		var named *store.Error
		if !errors.Is(err, store.ErrInvalid) || !errors.As(err, &named) || named.Op != store.OpOpen || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) && path != "" {
			t.Errorf("OpenDirectory(%q): %v; want ErrInvalid that names it and says %q", path, err, says)
		}
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "content" {
		t.Errorf("the file in the way is %q, %v; want it as it was", content, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenDirectory(ended, filepath.Join(parent, "later"), DirectoryOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("OpenDirectory with an ended context: %v; want context.Canceled", err)
	}
	if _, err := os.Stat(filepath.Join(parent, "later")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenDirectory with an ended context left something: %v", err)
	}
}

// A directory that was deleted, moved or unmounted looks empty to those who hold it
// open. That is not an answer.
func TestDirectoryThatIsGoneIsNotEmpty(t *testing.T) {
	for name, take := range map[string]func(root string) error{
		"deleted": os.RemoveAll,
		"replaced": func(root string) error {
			return errors.Join(os.RemoveAll(root), os.Mkdir(root+"-", 0o777), os.Mkdir(root, 0o777), os.Remove(root+"-"))
		},
	} {
		root := filepath.Join(t.TempDir(), "root")
		d := openTestDirectory(t, root)
		s, err := New(d, Options{})
		if err != nil {
			t.Fatal(err)
		}
		snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: 1}
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
		if err := take(root); err != nil {
			t.Fatal(err)
		}
		wantFailure := func(op string, err error) {
			t.Helper()
			if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, ErrNoObject) || !strings.Contains(err.Error(), root) {
				t.Errorf("%s in a directory that was %s: %v; want a failure that names it", op, name, err)
			}
		}
		_, err = s.LoadLatest(t.Context(), "order-1")
		wantFailure("LoadLatest", err)
		_, _, err = d.Get(t.Context(), "order-1/7ffffffffffffffe")
		wantFailure("Get", err)
		_, _, err = d.List(t.Context(), "", "", 1)
		wantFailure("List", err)
		wantFailure("Save", s.Save(t.Context(), snap))
		wantFailure("Delete", s.Delete(t.Context(), "order-1", 5))
	}
}

func TestWhatIsNoFileIsNoObject(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	if err := os.MkdirAll(filepath.Join(root, "a", "folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/folder", "file/1", "file/1/2"} {
		if body, _, err := d.Get(t.Context(), key); !errors.Is(err, ErrNoObject) {
			t.Errorf("Get(%q) = %q, %v; want ErrNoObject", key, body, err)
		}
		if err := d.Delete(t.Context(), []string{key}); err != nil {
			t.Errorf("Delete(%q): %v; want nil, for there is no object", key, err)
		}
		if err := d.Put(t.Context(), key, nil); err == nil || errors.Is(err, ErrNoObject) {
			t.Errorf("Put(%q) in the way of something else: %v; want a failure", key, err)
		}
	}
	if objects, _, err := d.List(t.Context(), "file/", "", 10); err != nil || len(objects) != 0 {
		t.Errorf("List of a file = %+v, %v; want nothing", objects, err)
	}
	if got, want := files(t, root), []string{"a/folder/", "file"}; !slices.Equal(got, want) {
		t.Errorf("files are %q; want %q", got, want)
	}
}

// endsAfter is a context that ends when it has been asked a number of times.
type endsAfter struct {
	context.Context
	questions int
}

func (c *endsAfter) Err() error {
	if c.questions--; c.questions < 0 {
		return context.Canceled
	}
	return nil
}

func TestContextEndsBetweenFileOperations(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	large := bytes.Repeat([]byte("x"), 5<<20)
	mustPut(t, d, "a/1", string(large))
	mustPut(t, d, "a/2", "two")
	for name, call := range map[string]func(ctx context.Context) error{
		"Put": func(ctx context.Context) error { return d.Put(ctx, "b/1", large) },
		"Get": func(ctx context.Context) error {
			_, _, err := d.Get(ctx, "a/1")
			return err
		},
	} {
		cancelled := 0
		for questions := 0; ; questions++ {
			err := call(&endsAfter{t.Context(), questions})
			if err == nil {
				break
			}
			cancelled++
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s whose context ends after %d pieces: %v; want context.Canceled", name, questions, err)
			}
			if got, want := files(t, root), []string{"a/1", "a/2"}; !slices.Equal(got, want) {
				t.Errorf("%s whose context ended left %q; want %q", name, got, want)
			}
		}
		if cancelled < 5 {
			t.Errorf("%s of 5 MiB looked at its context %d times; want at least 5", name, cancelled)
		}
		if err := d.Delete(t.Context(), []string{"b/1"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Delete(&endsAfter{t.Context(), 1}, []string{"a/1", "a/2"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete whose context ends after the first key: %v; want context.Canceled", err)
	}
	if _, _, err := d.Get(t.Context(), "a/2"); err != nil {
		t.Errorf("Get of a key that was not reached: %v", err)
	}
}

// Several processes come and go in a folder: each creates it where another has just
// removed it. Two Directory values share no lock, as processes don't.
func TestProcessesShareADirectory(t *testing.T) {
	root := t.TempDir()
	var wg sync.WaitGroup
	for p := range 4 {
		d := openTestDirectory(t, root)
		wg.Go(func() {
			key := fmt.Sprintf("p/shared/%d", p)
			for i := range 200 {
				body := fmt.Sprint(p, " ", i)
				if err := d.Put(t.Context(), key, []byte(body)); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
				if got, _, err := d.Get(t.Context(), key); err != nil || string(got) != body {
					t.Errorf("Get = %q, %v; want %q", got, err, body)
					return
				}
				if objects, _, err := d.List(t.Context(), "p/shared/", "", 10); err != nil || !slices.ContainsFunc(objects, func(o Object) bool { return o.Key == key }) {
					t.Errorf("List = %+v, %v; want %q among them", objects, err, key)
					return
				}
				if err := d.Delete(t.Context(), []string{key}); err != nil {
					t.Errorf("Delete: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, want := files(t, root), []string{"p/"}; !slices.Equal(got, want) {
		t.Errorf("files are %q; want %q", got, want)
	}
}

func TestFolderSetForgetsWhenItIsLarge(t *testing.T) {
	var s folderSet
	for i := range maxFolderSet + 1 {
		s.add(fmt.Sprint(i))
	}
	if last := fmt.Sprint(maxFolderSet); len(s.names) > maxFolderSet || !s.has(last) || s.has("0") {
		t.Errorf("%d names after %d additions, the last among them: %v", len(s.names), maxFolderSet+1, s.has(last))
	}
}

func TestCreateLeavesNothingBehind(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	create := func(key string) error { return d.Create(t.Context(), key, []byte("body")) }
	// In the moment before it is linked, another process takes the key.
	d.fsync = func(f *os.File) error {
		if strings.Contains(f.Name(), "~") {
			d.fsync = (*os.File).Sync
			mustPut(t, d, "a/1", "of another")
		}
		return f.Sync()
	}
	if err := create("a/1"); !errors.Is(err, ErrExists) {
		t.Errorf("Create at a key that was taken meanwhile: %v; want ErrExists", err)
	}
	if body, _, err := d.Get(t.Context(), "a/1"); err != nil || string(body) != "of another" {
		t.Errorf("Get = %q, %v; want what the other put", body, err)
	}
	if err := create("a/2"); err != nil {
		t.Error(err)
	}
	if got, want := files(t, root), []string{"a/1", "a/2"}; !slices.Equal(got, want) {
		t.Errorf("files are %q; want %q", got, want)
	}
	// What stands there and is no object does not exist already: it is in the way.
	for _, key := range []string{"a", "a/1/b"} {
		if err := create(key); err == nil || errors.Is(err, ErrExists) {
			t.Errorf("Create of %q in the way of something else: %v; want a failure that is not ErrExists", key, err)
		}
	}
}
