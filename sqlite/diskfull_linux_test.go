package sqlite_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// A smallDisk is where a store runs out of room. What makes it small is a property of
// the process, so each test of one runs in a process of its own.
type smallDisk struct {
	name string

	// attributes are what the process needs to be allowed to make it.
	attributes *syscall.SysProcAttr

	// make returns a folder with room for some 3 MB, and a function that makes room
	// for many more.
	make func(t *testing.T) (folder string, makeRoom func())
}

var smallDisks = []smallDisk{
	{
		// No file may be larger than 3 MB: works everywhere. SQLite sees an I/O error.
		name: "FileSizeLimit",
		make: func(t *testing.T) (folder string, makeRoom func()) {
			// The signal that comes with it would end the process.
			signal.Ignore(syscall.SIGXFSZ)
			var was syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
				t.Fatal(err)
			}
			set := func(limit uint64) {
				if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: was.Max}); err != nil {
					t.Fatal(err)
				}
			}
			set(3 << 20)
			return t.TempDir(), func() { set(was.Cur) }
		},
	},
	{
		// A file system in memory, in a mount namespace that ends with the process.
		// Where the system grants none the test is skipped. SQLite sees a full disk.
		name: "SmallFileSystem",
		attributes: &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		},
		make: func(t *testing.T) (folder string, makeRoom func()) {
			folder = t.TempDir()
			if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=32m"); err != nil {
				t.Skipf("can't mount a tmpfs here: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(folder, 0); err != nil {
					t.Error(err)
				}
			})
			filler := filepath.Join(folder, "filler")
			if err := os.WriteFile(filler, make([]byte, 29<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			return folder, func() {
				if err := os.Remove(filler); err != nil {
					t.Fatal(err)
				}
			}
		},
	},
}

// TestDiskFull runs out of room, with one large state and with many small ones, alone
// and among others, and makes room again. What was acknowledged is there all the
// time, and nothing is half there.
func TestDiskFull(t *testing.T) {
	const variable = "SNAPSTACK_SQLITE_TEST_DISK"
	for _, disk := range smallDisks {
		for _, mode := range []sqlite.JournalMode{sqlite.WAL, sqlite.Delete} {
			name := disk.name + "/" + string(mode)
			switch os.Getenv(variable) {
			case name:
				t.Run(name, func(t *testing.T) { fillDisk(t, disk, mode) })
			case "":
				t.Run(name, func(t *testing.T) {
					cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestDiskFull$", "-test.v")
					cmd.Env = append(os.Environ(), variable+"="+name)
					cmd.SysProcAttr = disk.attributes
					out, err := cmd.CombinedOutput()
					var exit *exec.ExitError
					switch {
					case err != nil && !errors.As(err, &exit):
						t.Skipf("can't start such a process here: %v", err)
					case err != nil || !bytes.Contains(out, []byte("TestDiskFull/"+name)):
						t.Errorf("%v\n%s", err, out)
					case bytes.Contains(out, []byte("--- SKIP")):
						t.Skipf("%s", out)
					}
				})
			}
		}
	}
}

func fillDisk(t *testing.T, disk smallDisk, mode sqlite.JournalMode) {
	folder, makeRoom := disk.make(t)
	path := filepath.Join(folder, "snapshots.db")
	s := openFile(t, path, sqlite.Options{JournalMode: mode})

	// saved is what was acknowledged.
	var mu sync.Mutex
	saved := map[string][]byte{}
	trySave := func(id string, size int) error {
		state := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%032s", id)))).Read(state) // never fails
		err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: 7, State: state})
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			saved[id] = state
		} else if says := err.Error(); !strings.HasPrefix(says, fmt.Sprintf("save %q at 7: ", id)) || !strings.Contains(says, "disk is full") && !strings.Contains(says, "disk I/O error") || strings.Contains(says, "ROLLBACK") {
			t.Errorf("Save of %s without room: %v; want an error that names it and says that, and no more", id, err)
		}
		return err
	}
	check := func(when string) {
		t.Helper()
		listed := 0
		for info, err := range s.List(t.Context(), "") {
			if err != nil || saved[info.PersistenceID] == nil {
				t.Fatalf("%s: List: %+v, %v; want what was saved", when, info, err)
			}
			listed++
		}
		if listed != len(saved) {
			t.Errorf("%s: %d are listed; want %d", when, listed, len(saved))
		}
		for id, state := range saved {
			if snap, err := s.LoadLatest(t.Context(), id); err != nil || snap.SequenceNr != 7 || !bytes.Equal(snap.State, state) {
				t.Fatalf("%s: LoadLatest(%s) gave %d bytes at %d, %v; want what was saved", when, id, len(snap.State), snap.SequenceNr, err)
			}
		}
	}

	for i := range 10 {
		if err := trySave(fmt.Sprint("first-", i), 2000); err != nil {
			t.Fatal(err)
		}
	}
	if trySave("large", 6<<20) == nil {
		t.Fatal("6 MB were saved: the disk is not small")
	}
	check("after a Save that was too large")
	if err := trySave("second", 2000); err != nil {
		t.Errorf("a small Save after it: %v; there is room", err)
	}

	// Some share a transaction with a large one: they are saved without it.
	for round := range 3 {
		var wg sync.WaitGroup
		for i := range 20 {
			size := 2000
			if i%10 == 3 {
				size = 6 << 20
			}
			wg.Go(func() {
				err := trySave(fmt.Sprintf("together-%d-%d", round, i), size)
				if (err == nil) != (size == 2000) {
					t.Errorf("Save of %d bytes among others: %v", size, err)
				}
			})
		}
		wg.Wait()
		check("after saves among which were large ones")
	}

	full := false
	for i := 0; !full; i++ {
		if i == 1000 {
			t.Fatal("1000 times 50 KB were saved: the disk is not small")
		}
		full = trySave(fmt.Sprint("more-", i), 50_000) != nil
	}
	check("when the disk is full")
	// A Delete needs room too, if little, and may fail. It is all or nothing.
	if err := s.Delete(t.Context(), "more-0", 7); err == nil {
		delete(saved, "more-0")
	}
	check("after a Delete on the full disk")

	makeRoom()
	for i := range 5 {
		if err := trySave(fmt.Sprint("later-", i), 50_000); err != nil {
			t.Errorf("with room again: %v", err)
		}
	}
	if err := trySave("large", 6<<20); err != nil {
		t.Errorf("with room again: %v", err)
	}
	check("with room again")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantIntegrity(t, path)
	s = openFile(t, path, sqlite.Options{JournalMode: mode})
	check("after reopening")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
