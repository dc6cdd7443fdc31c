package objectstore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

// A process that is told to by this variable is the one that gets killed.
const victimEnv = "SNAPSTACK_TEST_KILL_DIRECTORY"

// victimKeeps are the Keep of the victim's writers, each of which has an id.
var victimKeeps = []int{0, 0, 3, 3}

// victimState is what the writer saves: small at first, 2 MB every fourth time.
func victimState(writer int, nr uint64) []byte {
	size := 500
	if nr%4 == 3 {
		size = 2 << 20
	}
	return bytes.Repeat([]byte{byte(writer), byte(nr), byte(nr >> 8), byte(nr >> 16)}, size/4)
}

func openVictim(ctx context.Context, directory string, writer int, opts objectstore.DirectoryOptions) (*objectstore.Store, error) {
	bucket, err := objectstore.OpenDirectory(ctx, directory, opts)
	if err != nil {
		return nil, err
	}
	return objectstore.New(bucket, objectstore.Options{Prefix: "p/", Keep: victimKeeps[writer]})
}

// TestVictim is no test but the process that TestKill kills.
func TestVictim(t *testing.T) {
	directory := os.Getenv(victimEnv)
	if directory == "" {
		t.Skip("is run by TestKill in a process of its own")
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for writer := range victimKeeps {
		wg.Go(func() {
			s, err := openVictim(t.Context(), directory, writer, objectstore.DirectoryOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			id := fmt.Sprint("writer-", writer)
			var nr uint64
			switch latest, err := s.LoadLatest(t.Context(), id); {
			case err == nil:
				nr = latest.SequenceNr
			case !errors.Is(err, store.ErrNotFound):
				t.Error(err)
				return
			}
			for {
				nr++
				if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: victimState(writer, nr)}); err != nil {
					t.Error(err)
					return
				}
				out.Lock()
				fmt.Printf("saved %d %d\n", writer, nr) // unbuffered
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestKill kills a process that saves, and checks that every snapshot it acknowledged
// is there and none by half, then goes on with another on the same directory.
func TestKill(t *testing.T) {
	rounds := 30
	if os.Getenv("SNAPSTACK_SOAK") != "" {
		rounds = 200
	}
	directory := filepath.Join(t.TempDir(), "bucket")
	if err := os.Mkdir(directory, 0o777); err != nil {
		t.Fatal(err)
	}
	acknowledged := make([]uint64, len(victimKeeps))
	for round := range rounds {
		killAfter(t, directory, 20+7*round%40, acknowledged)
		for writer := range victimKeeps {
			checkVictim(t, directory, writer, acknowledged[writer])
		}
		if t.Failed() {
			t.Fatalf("after kill %d", round+1)
		}
	}
	// What the kills left behind goes once it is old enough.
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	bucket, err := objectstore.OpenDirectory(t.Context(), directory, objectstore.DirectoryOptions{Now: later})
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Close(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(directory, "p", "*", "~*")); err != nil || len(left) > 0 {
		t.Errorf("leftovers after a sweep: %q, %v; want none", left, err)
	}
}

// killAfter runs the victim until it has acknowledged so many Saves, kills it, and
// notes the highest number that each writer acknowledged.
func killAfter(t *testing.T, directory string, saves int, acknowledged []uint64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	victim := exec.CommandContext(t.Context(), self, "-test.run=^TestVictim$", "-test.timeout=2m")
	victim.Env = append(os.Environ(), victimEnv+"="+directory)
	victim.Stderr = &stderr
	stdout, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var writer int
		var nr uint64
		if _, err := fmt.Sscanf(lines.Text(), "saved %d %d", &writer, &nr); err != nil {
			continue // what the testing package says
		}
		acknowledged[writer] = nr
		if n++; n == saves {
			if err := victim.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	victim.Wait() // an error is how a process ends that is killed
	if n < saves {
		t.Fatalf("the victim ended by itself after %d saves\n%s", n, &stderr)
	}
}

func checkVictim(t *testing.T, directory string, writer int, last uint64) {
	t.Helper()
	s, err := openVictim(t.Context(), directory, writer, objectstore.DirectoryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	id := fmt.Sprint("writer-", writer)
	there := make(map[uint64]bool)
	for info, err := range s.List(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		there[info.SequenceNr] = true
		got, err := s.LoadBefore(t.Context(), id, info.SequenceNr+1)
		if err != nil || got.SequenceNr != info.SequenceNr || !bytes.Equal(got.State, victimState(writer, info.SequenceNr)) {
			t.Errorf("%s number %d: number %d and %d bytes, %v; want it whole", id, info.SequenceNr, got.SequenceNr, len(got.State), err)
		}
	}
	// One more than was acknowledged may be there, and have pruned one for itself.
	first := uint64(1)
	if keep := uint64(victimKeeps[writer]); keep > 0 && last+2 > keep {
		first = last + 2 - keep
	}
	for nr := first; nr <= last; nr++ {
		if !there[nr] {
			t.Errorf("%s: %d was acknowledged and is lost", id, nr)
		}
	}
}
