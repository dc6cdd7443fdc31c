package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	modernc "modernc.org/sqlite"

	"github.com/snapstack/snapstack/store"
)

// mib is a state of 1 MiB.
var mib = make([]byte, 1<<20)

// saveLarge saves so many MiB, of one id.
func saveLarge(t *testing.T, s *Store, n int) {
	t.Helper()
	for nr := range n {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "large", SequenceNr: uint64(nr % 8), State: mib}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWALStaysBounded saves without a pause while readers come and go, so that there
// is never a moment without a rest in the WAL. 200 MiB are saved, with a limit of 1.
func TestWALStaysBounded(t *testing.T) {
	const limit = 1 << 20
	s := openTest(t, Options{CheckpointBytes: limit})
	saveLarge(t, s, 1)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := s.LoadLatest(t.Context(), "large"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var highest int64
	for range 200 {
		saveLarge(t, s, 1)
		highest = max(highest, s.Stats().WALBytes)
	}
	close(done)
	readers.Wait()
	// The limit at which SQLite helps itself, and what came while it could not.
	if most := int64(8 * ownCheckpoint * limit); highest > most || highest == 0 {
		t.Errorf("the WAL grew to %d bytes; want at most %d, and some", highest, most)
	}
	if stats := s.Stats(); stats.Checkpoints == 0 || stats.CheckpointErrors > 0 {
		t.Errorf("%+v; want some checkpoints and no errors", stats)
	}
}

// TestCheckpointsAreNotTheSaves saves with the goroutine of the checkpointer stopped:
// no Save may do its work, until SQLite helps itself.
func TestCheckpointsAreNotTheSaves(t *testing.T) {
	const limit = 1 << 20
	path := filepath.Join(t.TempDir(), "snapshots.db")
	s, err := Open(t.Context(), path, Options{CheckpointBytes: limit})
	if err != nil {
		t.Fatal(err)
	}
	s.checkpointer.stop()
	<-s.checkpointer.done
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	save := func(n int) {
		for nr := range n {
			if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "large", SequenceNr: uint64(nr), State: mib}); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := size()
	save(ownCheckpoint - 1)
	if after := size(); after != before {
		t.Errorf("the file grew from %d to %d bytes while nobody but Saves ran; want the states in the WAL", before, after)
	}
	if len(s.checkpointer.wake) != 1 {
		t.Error("after more than CheckpointBytes no checkpoint is due")
	}
	save(2 * ownCheckpoint)
	if after := size(); after < ownCheckpoint*limit {
		t.Errorf("the file has %d bytes, and the WAL %d; want that SQLite helps itself", after, s.Stats().WALBytes)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the WAL after Close: %v; want none", err)
	}
}

// TestAFailingCheckpointLosesNothing refuses the checkpointer its statements.
func TestAFailingCheckpointLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	s, err := Open(t.Context(), path, Options{CheckpointBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	// The goroutine is at rest: nothing was saved.
	err = s.checkpointer.conn.conn.Raw(func(driver any) error {
		return driver.(modernc.AuthorizerRegisterer).RegisterAuthorizer(
			func(modernc.AuthorizerActionCode, string, string, string, string) modernc.AuthorizerReturnCode {
				return modernc.AuthorizerDeny
			})
	})
	if err != nil {
		t.Fatal(err)
	}
	saveLarge(t, s, 2)
	for s.Stats().CheckpointErrors == 0 {
		runtime.Gosched()
	}
	if stats := s.Stats(); stats.CheckpointError == nil || stats.Checkpoints != 0 || stats.WALBytes < 2<<20 {
		t.Errorf("%+v; want no checkpoint, its error, and the states in the WAL", stats)
	}
	saveLarge(t, s, 20)
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "checkpoint") {
		t.Errorf("Close: %v; want the error of its checkpoint", err)
	}
	if stats := s.Stats(); stats.Saves != 22 {
		t.Errorf("after Close: %+v; want 22 saves", stats)
	}
	s, err = Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for nr := range uint64(8) {
		if snap, err := s.LoadBefore(t.Context(), "large", nr+1); err != nil || snap.SequenceNr != nr || len(snap.State) != len(mib) {
			t.Errorf("number %d after it: %d with %d bytes, %v", nr, snap.SequenceNr, len(snap.State), err)
		}
	}
}

// TestCloseWaitsForACheckpoint closes the store while a checkpoint is at it.
func TestCloseWaitsForACheckpoint(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "snapshots.db"), Options{CheckpointBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	err = s.checkpointer.conn.conn.Raw(func(driver any) error {
		return driver.(modernc.AuthorizerRegisterer).RegisterAuthorizer(
			func(modernc.AuthorizerActionCode, string, string, string, string) modernc.AuthorizerReturnCode {
				once.Do(func() { close(begun) })
				<-goOn
				return modernc.AuthorizerOK
			})
	})
	if err != nil {
		t.Fatal(err)
	}
	saveLarge(t, s, 2)
	<-begun
	saveLarge(t, s, 2) // which do not wait for it
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for range 1000 {
		runtime.Gosched()
	}
	if len(closed) > 0 {
		t.Error("Close returned while a checkpoint was running")
	}
	close(goOn)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	select {
	case <-s.checkpointer.done:
	default:
		t.Error("the goroutine outlives Close")
	}
}

// TestNoCheckpointerWithoutAWAL opens what has no WAL to look after.
func TestNoCheckpointerWithoutAWAL(t *testing.T) {
	file, err := Open(t.Context(), filepath.Join(t.TempDir(), "snapshots.db"), Options{JournalMode: Persist})
	if err != nil {
		t.Fatal(err)
	}
	memory, err := Open(t.Context(), inMemory, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{file, memory} {
		saveLarge(t, s, 8)
		if stats := s.Stats(); s.checkpointer != nil || stats.Checkpoints != 0 || stats.WALBytes != 0 || stats.Saves != 8 {
			t.Errorf("%+v; want 8 saves and no checkpoints", stats)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
