package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/snapstack/snapstack/store"
)

// ways opens a store in each of the ways there are.
var ways = map[string]func(t *testing.T) *Store{
	"WAL":     func(t *testing.T) *Store { return openTest(t, Options{}) },
	"Persist": func(t *testing.T) *Store { return openTest(t, Options{JournalMode: Persist}) },
	"Memory": func(t *testing.T) *Store {
		s, err := Open(t.Context(), inMemory, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	},
	"Shared": func(t *testing.T) *Store {
		db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "shared.db")+"?_journal_mode=WAL&_busy_timeout=5000")
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(t.Context(), db, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(s.Close(), db.Close()); err != nil {
				t.Error(err)
			}
		})
		return s
	},
}

// TestBackupIsOfOneMoment backs up while saves go on. Every save is of two numbers in
// one transaction: a backup that has one of them has both.
func TestBackupIsOfOneMoment(t *testing.T) {
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			db := dbOf(s)
			if name != "Memory" { // which has one connection, and that is the store's
				for _, rule := range []string{
					"CREATE TABLE journal (seq INTEGER)",
					"CREATE TRIGGER also AFTER INSERT ON snapshots BEGIN INSERT INTO journal VALUES (NEW.seq); END",
				} {
					if _, err := db.Exec(rule); err != nil {
						t.Fatal(err)
					}
				}
			}
			for nr := range uint64(50) {
				if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "a", SequenceNr: nr, State: mib[:10000]}); err != nil {
					t.Fatal(err)
				}
			}
			done := make(chan struct{})
			var saves sync.WaitGroup
			saves.Go(func() {
				for nr := uint64(50); ; nr++ {
					select {
					case <-done:
						return
					default:
					}
					if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "a", SequenceNr: nr, State: mib[:10000]}); err != nil {
						t.Error(err)
						return
					}
				}
			})
			dir := t.TempDir()
			path := filepath.Join(dir, "copy ' of.db")
			if err := s.Backup(t.Context(), path); err != nil {
				t.Error(err)
			}
			close(done)
			saves.Wait()

			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("beside the backup there are %v, %v", entries, err)
			}
			copied, err := Open(t.Context(), path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer copied.Close()
			if err := copied.Check(t.Context()); err != nil {
				t.Error(err)
			}
			snap, err := copied.LoadLatest(t.Context(), "a")
			if err != nil || snap.SequenceNr < 49 || len(snap.State) != 10000 {
				t.Errorf("the backup has %d with %d bytes, %v; want 49 or more", snap.SequenceNr, len(snap.State), err)
			}
			if name == "Memory" {
				return
			}
			if got, want := rows(t, copied, "SELECT count(*) AS x FROM journal"), rows(t, copied, "SELECT count(*) AS x FROM snapshots"); got != want {
				t.Errorf("the backup has %s snapshots and %s rows that came with them", want, got)
			}
		})
	}
}

func TestBackupOverwritesNothing(t *testing.T) {
	s := openTest(t, Options{})
	s.fsync = func(*os.File) error {
		t.Error("a backup was written before it was looked whether it can be")
		return nil
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "precious")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // also where it is empty
		t.Fatal(err)
	}
	for says, path := range map[string]string{
		"it exists; a backup overwrites nothing": path,
		"it exists":                              dir,
		"allowed is that of a file":              "",
	} {
		if err := s.Backup(t.Context(), path); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) {
			t.Errorf("Backup to %q: %v; want ErrInvalid that says %s", path, err, says)
		}
	}
	// And where somebody made it while the backup was written.
	written := filepath.Join(dir, "written")
	if err := os.WriteFile(written, []byte("backup"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := moveNew(written, path); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a file that came to be there meanwhile: %v; want ErrInvalid", err)
	}
	if content, err := os.ReadFile(path); err != nil || len(content) != 0 {
		t.Errorf("it has become %q, %v", content, err)
	}
}

// TestBackupIsDurable records what is synced: the file before it has its name, and the
// folder after that.
func TestBackupIsDurable(t *testing.T) {
	s := openTest(t, Options{})
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.db")
	var synced []string
	s.fsync = func(f *os.File) error {
		_, err := os.Stat(path)
		info, statErr := f.Stat()
		if statErr != nil {
			t.Error(statErr)
		}
		if !info.IsDir() && info.Size() == 0 {
			t.Error("synced before anything was in it")
		}
		synced = append(synced, fmt.Sprintf("folder %v, named %v", info.IsDir(), err == nil))
		return f.Sync()
	}
	if err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if want := []string{"folder false, named false", "folder true, named true"}; !slices.Equal(synced, want) {
		t.Errorf("synced were %q; want %q", synced, want)
	}

	// Where one of them fails nothing is left.
	for failing := range 2 {
		other := filepath.Join(dir, fmt.Sprint("failing-", failing))
		failure, n := errors.New("no more disk"), 0
		s.fsync = func(*os.File) error {
			if n++; n-1 == failing {
				return failure
			}
			return nil
		}
		if err := s.Backup(t.Context(), other); !errors.Is(err, failure) {
			t.Errorf("Backup whose fsync %d fails: %v; want its error", failing, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("after backups that failed there are %v, %v; want the one that did not", entries, err)
	}
}

// TestBackupAndCheckObeyTheirContext ends it before, and while SQLite is at it.
func TestBackupAndCheckObeyTheirContext(t *testing.T) {
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			saveLarge(t, s, 8)
			dir := t.TempDir()
			for call, run := range map[string]func(ctx context.Context) error{
				"Backup": func(ctx context.Context) error { return s.Backup(ctx, filepath.Join(dir, "copy.db")) },
				"Check":  s.Check,
			} {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := run(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("%s whose context has ended: %v; want Canceled", call, err)
				}
				// In the middle of it: when the driver looks for the second time.
				ending := &endsWhenAsked{Context: t.Context(), left: 4, ended: make(chan struct{})}
				if err := run(ending); err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("%s whose context ends in the middle: %v; want Canceled", call, err)
				}
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 1 {
				t.Errorf("there are %v, %v", entries, err)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

// endsWhenAsked is a context that ends when it has been asked some times.
type endsWhenAsked struct {
	context.Context
	mu    sync.Mutex
	left  int
	ended chan struct{}
}

func (c *endsWhenAsked) Done() <-chan struct{} { return c.ended }

func (c *endsWhenAsked) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 {
		return context.Canceled
	}
	if c.left--; c.left == 0 {
		close(c.ended)
		return context.Canceled
	}
	return nil
}
