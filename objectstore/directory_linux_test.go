package objectstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/snapstack/snapstack/store"
)

// asOrdinaryUser calls do on a thread to which file permissions apply, also where
// the tests run as root, who may do everything.
func asOrdinaryUser(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Getuid() == 0 {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			const nobody = 65534
			if err := syscall.Setfsuid(nobody); err != nil {
				t.Errorf("Setfsuid: %v", err)
				return
			}
		}
		do()
	}()
	<-done
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Error(err)
		}
	})
}

func TestMissingPermissionIsNotAbsence(t *testing.T) {
	parent := t.TempDir()
	chmod(t, filepath.Dir(parent), 0o755) // of the test, above it
	chmod(t, parent, 0o755)
	root := filepath.Join(parent, "root")
	d := openTestDirectory(t, root)
	s, err := New(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"order-1", "order-2"} {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: 1}); err != nil {
			t.Fatal(err)
		}
	}
	wantPermission := func(op string, err error) {
		t.Helper()
		if !errors.Is(err, fs.ErrPermission) || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), root) {
			t.Errorf("%s without permission: %v; want fs.ErrPermission that names the directory", op, err)
		}
	}
	folder := filepath.Join(root, "order-1")
	chmod(t, folder, 0)
	asOrdinaryUser(t, func() {
		_, err := s.LoadLatest(t.Context(), "order-1")
		wantPermission("LoadLatest", err)
		_, _, err = d.Get(t.Context(), "order-1/7ffffffffffffffe")
		wantPermission("Get", err)
		_, _, err = d.List(t.Context(), "", "", 10)
		wantPermission("List", err)
		wantPermission("Save", s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 2}))
		wantPermission("Delete", s.Delete(t.Context(), "order-1", 1))
		_, err = OpenDirectory(t.Context(), root, DirectoryOptions{}) // can't look for leftovers
		wantPermission("OpenDirectory", err)

		// Loads of another id do not so much as look into that folder.
		if _, err := s.LoadLatest(t.Context(), "order-2"); err != nil {
			t.Errorf("LoadLatest beside a folder without permission: %v", err)
		}
		if _, err := s.LoadLatest(t.Context(), "order-3"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("LoadLatest of nothing beside a folder without permission: %v; want ErrNotFound", err)
		}

		created := filepath.Join(parent, "new")
		_, err = OpenDirectory(t.Context(), created, DirectoryOptions{})
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), created) {
			t.Errorf("OpenDirectory that may not create it: %v; want fs.ErrPermission that names it", err)
		}
	})
	chmod(t, root, 0)
	asOrdinaryUser(t, func() {
		_, err := OpenDirectory(t.Context(), root, DirectoryOptions{})
		wantPermission("OpenDirectory", err)
		_, err = s.LoadLatest(t.Context(), "order-2")
		wantPermission("LoadLatest", err)
	})
	chmod(t, root, 0o755)
	if _, err := os.Stat(filepath.Join(parent, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenDirectory without permission left something: %v", err)
	}
}

// Opening a named pipe waits for somebody at its other end.
func TestNamedPipesAreNotOpened(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	mustPut(t, d, "a/1", "one")
	for _, name := range []string{"a/2", "pipe"} {
		if err := syscall.Mkfifo(filepath.Join(root, name), 0o666); err != nil {
			t.Skipf("no named pipes here: %v", err)
		}
	}
	if objects, _, err := d.List(t.Context(), "", "", 10); err != nil || len(objects) != 1 {
		t.Errorf("List = %+v, %v; want a/1 alone", objects, err)
	}
	if body, _, err := d.Get(t.Context(), "a/2"); !errors.Is(err, ErrNoObject) {
		t.Errorf("Get = %q, %v; want ErrNoObject", body, err)
	}
	if objects, _, err := d.List(t.Context(), "pipe/", "", 10); err != nil || len(objects) != 0 {
		t.Errorf("List of a pipe = %+v, %v; want nothing", objects, err)
	}
}
