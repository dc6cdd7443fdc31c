//go:build unix && (amd64 || arm64)

package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// TestLargerThan32BitsIsTooLarge saves a state whose length would become 5 where 32
// bits are kept of it. Its memory can't be read: who tries ends the test.
func TestLargerThan32BitsIsTooLarge(t *testing.T) {
	state, err := syscall.Mmap(-1, 0, 1<<32+5, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Munmap(state); err != nil {
			t.Error(err)
		}
	}()
	s := openFile(t, ":memory:", sqlite.Options{})
	closeStore(t, s)
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", State: state}); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Save of 4 GiB: %v; want ErrTooLarge", err)
	}
	if _, err := s.LoadLatest(t.Context(), "order-1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("LoadLatest after it: %v; want ErrNotFound", err)
	}
}

// TestOpenWithoutPermission takes permissions from files and folders. Root has them
// all the same, so it runs this test again as somebody else.
func TestOpenWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		// Not by the name of the executable: its folder may be root's alone.
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestOpenWithoutPermission$")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Skipf("can't run as somebody else than root here: %v", err)
		}
		if err != nil {
			t.Errorf("as somebody else than root: %v\n%s", err, out)
		}
		return
	}
	for name, c := range map[string]struct {
		mode         string // of the journal of the file that is there; "" for none
		file, folder os.FileMode
		says         string
	}{
		"unreadable file":            {"DELETE", 0o000, 0o700, "must be readable and writable"},
		"unreadable folder":          {"DELETE", 0o600, 0o000, "permission denied"},
		"read-only file":             {"DELETE", 0o400, 0o700, "must be readable and writable"},
		"read-only file, WAL":        {"WAL", 0o400, 0o700, "must be readable and writable"},
		"read-only folder, no file":  {"", 0, 0o500, "must be readable and writable"},
		"read-only folder, file":     {"DELETE", 0o600, 0o500, "must be readable and writable"},
		"read-only folder, WAL file": {"WAL", 0o600, 0o500, "must be readable and writable"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "folder")
			path := snapshotsDB(t, folder)
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if c.mode != "" {
				db, err := sql.Open("sqlite", path)
				if err != nil {
					t.Fatal(err)
				}
				mustExec(t, db, "PRAGMA journal_mode = "+c.mode)
				mustExec(t, db, seedSchema)
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, c.file); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(folder, c.folder); err != nil {
				t.Fatal(err)
			}
			s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			if err == nil {
				_ = s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v\nwant an error that names %q and says %s", err, path, c.says)
			}
			if err := os.Chmod(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			if was := c.mode != ""; len(entries) > 1 || (len(entries) == 1) != was {
				t.Errorf("Open left %v behind", entries)
			}
		})
	}
}
