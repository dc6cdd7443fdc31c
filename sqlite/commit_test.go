package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/snapstack/snapstack/store"
)

// occupy makes the store take every write into the queue, as if another call were
// at it. The function it returns hands the lead over.
func occupy(s *Store) (handOver func()) {
	s.queue.mu.Lock()
	s.queue.led = true
	s.queue.mu.Unlock()
	return s.queue.handOver
}

func waitForQueue(s *Store, length int) {
	for {
		s.queue.mu.Lock()
		waiting := len(s.queue.waiting)
		s.queue.mu.Unlock()
		if waiting == length {
			return
		}
		runtime.Gosched()
	}
}

// inOneBatch makes the calls share a transaction, in their order, and returns their
// errors.
func inOneBatch(s *Store, calls ...func() error) []error {
	handOver := occupy(s)
	errs := make([]error, len(calls))
	done := make(chan struct{})
	for i, call := range calls {
		go func() {
			errs[i] = call()
			done <- struct{}{}
		}()
		waitForQueue(s, i+1)
	}
	handOver()
	for range calls {
		<-done
	}
	return errs
}

// openTest opens a file with the rules of the test in it.
func openTest(t *testing.T, opts Options, rules ...string) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "snapshots.db"), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, rule := range rules {
		if _, err := dbOf(s).Exec(rule); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// dbOf returns the database beneath s, for statements beside it.
func dbOf(s *Store) *sql.DB {
	if d, ok := s.db.(*owned); ok {
		return d.db
	}
	return s.db.(*shared).db
}

// rawWriter runs use on the connection that s writes on.
func rawWriter(s *Store, use func(driver any) error) error {
	writer := <-s.db.(*owned).writers
	defer writer.release()
	return writer.conn.Raw(use)
}

func saver(t *testing.T, s *Store, id string, nr uint64) func() error {
	return func() error {
		return s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr})
	}
}

// rows returns what the query gives, one value a row.
func rows(t *testing.T, s *Store, query string) string {
	t.Helper()
	var values sql.NullString
	if err := dbOf(s).QueryRow("SELECT group_concat(x, ' ') FROM (" + query + ")").Scan(&values); err != nil {
		t.Fatal(err)
	}
	return values.String
}

const stored = "SELECT pid || '@' || seq AS x FROM snapshots ORDER BY pid, seq"

// onCommit has the store call hook before each commit.
func onCommit(t *testing.T, s *Store, hook func()) {
	t.Helper()
	err := rawWriter(s, func(driver any) error {
		driver.(modernc.HookRegisterer).RegisterCommitHook(func() int32 {
			hook()
			return 0
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestABatchIsOneCommitInOrderOfArrival(t *testing.T) {
	s := openTest(t, Options{},
		"CREATE TABLE log (x TEXT)",
		"CREATE TRIGGER log_save AFTER INSERT ON snapshots BEGIN INSERT INTO log VALUES ('save-' || NEW.seq); END",
		"CREATE TRIGGER log_delete AFTER DELETE ON snapshots BEGIN INSERT INTO log VALUES ('delete-' || OLD.seq); END")
	commits := 0
	onCommit(t, s, func() { commits++ })
	errs := inOneBatch(s,
		saver(t, s, "a", 1),
		saver(t, s, "a", 2),
		func() error { return s.Delete(t.Context(), "a", 2) },
		saver(t, s, "a", 1))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got, want := rows(t, s, "SELECT x FROM log ORDER BY rowid"), "save-1 save-2 delete-1 delete-2 save-1"; got != want {
		t.Errorf("a batch was carried out as %q; want %q", got, want)
	}
	if commits != 1 {
		t.Errorf("4 calls that waited together made %d commits; want 1", commits)
	}
}

// TestALoneSaveIsCommittedByItsCaller looks at the stack of the commit: nothing was
// handed to another goroutine, and the transaction has its prune in it.
func TestALoneSaveIsCommittedByItsCaller(t *testing.T) {
	for keep, want := range map[int]string{0: "a@0 a@1 a@2", 1: "a@2"} {
		s := openTest(t, Options{Keep: keep})
		var stacks []string
		onCommit(t, s, func() { stacks = append(stacks, string(debug.Stack())) })
		for nr := range uint64(3) {
			if err := saver(t, s, "a", nr)(); err != nil {
				t.Fatal(err)
			}
		}
		if len(stacks) != 3 {
			t.Fatalf("with Keep %d, 3 saves made %d commits; want 3", keep, len(stacks))
		}
		for _, stack := range stacks {
			if !strings.Contains(stack, "TestALoneSaveIsCommittedByItsCaller(") {
				t.Errorf("a lone Save was committed by another goroutine:\n%s", stack)
			}
		}
		if got := rows(t, s, stored); got != want {
			t.Errorf("with Keep %d stored are %q; want %q", keep, got, want)
		}
	}
}

// TestLoadsDoNotWaitForTheWriter loads while a commit is held up.
func TestLoadsDoNotWaitForTheWriter(t *testing.T) {
	s := openTest(t, Options{})
	if err := saver(t, s, "a", 1)(); err != nil {
		t.Fatal(err)
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	onCommit(t, s, func() {
		close(begun)
		<-goOn
	})
	saved := make(chan error, 1)
	go func() { saved <- saver(t, s, "a", 2)() }()
	<-begun
	for range 100 { // more often than there are connections
		if snap, err := s.LoadLatest(t.Context(), "a"); err != nil || snap.SequenceNr != 1 {
			t.Errorf("a load beside a commit: %d, %v; want what was there before", snap.SequenceNr, err)
		}
	}
	close(goOn)
	if err := <-saved; err != nil {
		t.Error(err)
	}
}

// TestLoadsWaitForAConnection takes all connections, and ends the context of who waits
// for one.
func TestLoadsWaitForAConnection(t *testing.T) {
	s := openTest(t, Options{})
	d := s.db.(*owned)
	var taken []*connection
	for range cap(d.readers) {
		taken = append(taken, <-d.readers)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	loaded := make(chan error, 1)
	go func() {
		_, err := s.LoadLatest(&watched{Context: ctx, waits: func() { close(waiting) }}, "a")
		loaded <- err
	}()
	<-waiting
	cancel()
	if err := <-loaded; !errors.Is(err, context.Canceled) {
		t.Errorf("a load whose context ends while it waits for a connection: %v; want Canceled", err)
	}
	for _, c := range taken {
		c.release()
	}
	if _, err := s.LoadLatest(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a load when there are connections again: %v; want ErrNotFound", err)
	}
}

// watched is a context that tells when somebody waits for its end.
type watched struct {
	context.Context
	waits func()
}

func (w *watched) Done() <-chan struct{} {
	w.waits()
	return w.Context.Done()
}

// TestStatesAreTheCallers relies on a state for itself as long as the store is used,
// which owned.load takes for granted of the driver.
func TestStatesAreTheCallers(t *testing.T) {
	s := openTest(t, Options{})
	d := s.db.(*owned)
	for cap(d.readers) > 1 && len(d.readers) > 1 {
		defer (<-d.readers).release() // all loads on one connection
	}
	var loaded []store.Snapshot
	for nr := range uint64(50) {
		state := bytes.Repeat([]byte{byte(nr)}, 100+int(nr)*997)
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "a", SequenceNr: nr, State: state}); err != nil {
			t.Fatal(err)
		}
		snap, err := s.LoadLatest(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		loaded = append(loaded, snap)
	}
	for nr, snap := range loaded {
		if want := bytes.Repeat([]byte{byte(nr)}, 100+nr*997); !bytes.Equal(snap.State, want) {
			t.Errorf("the state loaded at %d is no longer what it was", nr)
		}
	}
}

// TestStats counts what is known to have happened.
func TestStats(t *testing.T) {
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			if got, want := s.Stats().MeanBatch(), 0.0; got != want {
				t.Errorf("MeanBatch of nothing: %v; want 0", got)
			}
			s.opts.Keep = 1
			if name != "Memory" {
				if _, err := dbOf(s).Exec("CREATE TRIGGER refuse BEFORE DELETE ON snapshots WHEN OLD.pid = 'stays' BEGIN SELECT RAISE(ABORT, 'not now'); END"); err != nil {
					t.Fatal(err)
				}
			}
			err := errors.Join(inOneBatch(s, saver(t, s, "a", 1), saver(t, s, "stays", 1), func() error { return s.Delete(t.Context(), "b", 1) })...)
			if err := errors.Join(err, saver(t, s, "stays", 2)()); err != nil {
				t.Fatal(err)
			}
			if err := saver(t, s, "", 1)(); !errors.Is(err, store.ErrInvalid) {
				t.Fatal(err)
			}
			want := Stats{Saves: 3, Deletes: 1, Commits: 2, MaxBatch: 3, PruneErrors: 1}
			if name == "Memory" {
				want.PruneErrors = 0 // it has one connection, and none to make a trigger with
			}
			got := s.Stats()
			if (got.WALBytes > 0) != (name == "WAL") {
				t.Errorf("WALBytes %d", got.WALBytes)
			}
			got.WALBytes = 0
			if got != want || got.MeanBatch() != 2 {
				t.Errorf("Stats: %+v, mean %v; want %+v, mean 2", got, got.MeanBatch(), want)
			}
		})
	}
}

// TestLeadIsHandedOverAfterOneBatch has a write come while the first commits. The
// first must return although the second is at it: its leader serves no others.
func TestLeadIsHandedOverAfterOneBatch(t *testing.T) {
	s := openTest(t, Options{})
	begun, goOn := make(chan struct{}), make(chan struct{})
	onCommit(t, s, func() {
		begun <- struct{}{}
		<-goOn
	})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- saver(t, s, "a", 1)() }()
	<-begun
	go func() { second <- saver(t, s, "b", 1)() }()
	waitForQueue(s, 1)
	goOn <- struct{}{}
	<-begun
	if err := <-first; err != nil { // hangs where the first goes on leading
		t.Error(err)
	}
	goOn <- struct{}{}
	if err := <-second; err != nil {
		t.Error(err)
	}
}

// TestContextsThatEndDuringACommit ends the context of Saves that are being
// committed, which must wait, because their States are in use, and of one that is
// in the queue behind, which must not.
func TestContextsThatEndDuringACommit(t *testing.T) {
	s := openTest(t, Options{})
	begun, goOn := make(chan struct{}), make(chan struct{})
	onCommit(t, s, func() {
		begun <- struct{}{}
		<-goOn
	})
	handOver := occupy(s)
	ctx, cancel := context.WithCancel(t.Context())
	save := func(id string) <-chan error {
		saved := make(chan error, 1)
		go func() { saved <- s.Save(ctx, store.Snapshot{PersistenceID: id}) }()
		return saved
	}
	leading := save("leads")
	waitForQueue(s, 1)
	following := save("follows")
	waitForQueue(s, 2)
	handOver()
	<-begun
	queued := save("queued")
	waitForQueue(s, 1)

	cancel()
	if err := <-queued; !errors.Is(err, context.Canceled) {
		t.Errorf("Save whose context ended in the queue: %v; want Canceled", err)
	}
	for range 1000 {
		runtime.Gosched()
	}
	if len(leading)+len(following) > 0 {
		t.Error("a Save returned before the commit that reads its State was over")
	}
	goOn <- struct{}{}
	if err := errors.Join(<-leading, <-following); err != nil {
		t.Errorf("Saves whose context ended while they were committed: %v; want nil, as they were", err)
	}
	if got, want := rows(t, s, stored), "follows@0 leads@0"; got != want {
		t.Errorf("stored are %q; want %q", got, want)
	}
}

// TestLeadIsPassedOnByWhoLeaves gives the lead to a Save in the moment in which its
// context ends. Whichever it sees first, the lead must not be lost with it, and
// nothing may be written.
func TestLeadIsPassedOnByWhoLeaves(t *testing.T) {
	s := openTest(t, Options{})
	for range 200 {
		occupy(s) // and hand over below, in the same moment
		ctx, cancel := context.WithCancel(t.Context())
		leaving, staying := make(chan error), make(chan error)
		go func() { leaving <- s.Save(ctx, store.Snapshot{PersistenceID: "leaves"}) }()
		waitForQueue(s, 1)
		go func() { staying <- s.Save(t.Context(), store.Snapshot{PersistenceID: "stays"}) }()
		waitForQueue(s, 2)
		// Both under the lock, so that the waiter finds them together.
		s.queue.mu.Lock()
		cancel()
		close(s.queue.waiting[0].lead)
		s.queue.mu.Unlock()
		if err := <-leaving; !errors.Is(err, context.Canceled) {
			t.Fatalf("Save whose context ended before anybody began with it: %v; want Canceled", err)
		}
		if err := <-staying; err != nil { // hangs where the lead was lost
			t.Fatal(err)
		}
	}
	if got := rows(t, s, stored); got != "stays@0" {
		t.Errorf("stored are %q; want stays@0 alone", got)
	}
}

// TestOneBadWriteFailsAlone has writes in a batch that a trigger refuses, in the
// mild way and so that the transaction is gone, and one that SQLite finds too large.
func TestOneBadWriteFailsAlone(t *testing.T) {
	for _, raise := range []string{"ABORT", "ROLLBACK"} {
		t.Run(raise, func(t *testing.T) {
			s := openTest(t, Options{},
				"INSERT INTO snapshots VALUES ('old', 1, X'', 0)",
				"CREATE TRIGGER refuse BEFORE INSERT ON snapshots WHEN NEW.pid = 'bad' BEGIN SELECT RAISE("+raise+", 'refused'); END")
			// 1 MB instead of the 1 GB that SQLite takes by default.
			writer := <-s.db.(*owned).writers
			_, err := modernc.Limit(writer.conn, sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)
			writer.release()
			if err != nil {
				t.Fatal(err)
			}
			errs := inOneBatch(s,
				saver(t, s, "a", 1),
				saver(t, s, "bad", 1),
				func() error {
					return s.Save(t.Context(), store.Snapshot{PersistenceID: "large", State: make([]byte, 1_000_001)})
				},
				func() error { return s.Delete(t.Context(), "old", 1) },
				saver(t, s, "b", 1))
			for i, err := range errs {
				switch {
				case i == 1:
					if err == nil || !strings.Contains(err.Error(), "refused") {
						t.Errorf("the refused Save: %v; want the trigger's error", err)
					}
				case i == 2:
					if !errors.Is(err, store.ErrTooLarge) {
						t.Errorf("the large Save: %v; want ErrTooLarge", err)
					}
				case err != nil:
					t.Errorf("call %d, beside bad ones: %v", i, err)
				}
			}
			if got, want := rows(t, s, stored), "a@1 b@1"; got != want {
				t.Errorf("stored are %q; want %q", got, want)
			}
		})
	}
}

// TestNoRoomForOneWrite bounds the pages of the file, which is to SQLite what a full
// disk is: the statement fails and takes its transaction with it.
func TestNoRoomForOneWrite(t *testing.T) {
	s := openTest(t, Options{})
	writer := <-s.db.(*owned).writers
	if err := writer.exec(t.Context(), "PRAGMA max_page_count = 20"); err != nil {
		t.Fatal(err)
	}
	writer.release()
	large := func() error {
		return s.Save(t.Context(), store.Snapshot{PersistenceID: "large", State: mib})
	}
	if err := large(); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a lone Save that there is no room for: %v; want an error that says so", err)
	}
	if err := saver(t, s, "a", 1)(); err != nil {
		t.Errorf("the Save after it: %v", err)
	}
	errs := inOneBatch(s, saver(t, s, "b", 1), large, saver(t, s, "c", 1))
	if errs[0] != nil || errs[2] != nil || errs[1] == nil || !strings.Contains(errs[1].Error(), "full") {
		t.Errorf("a batch with a Save that there is no room for: %v; want that it fails alone", errs)
	}
	if got, want := rows(t, s, stored), "a@1 b@1 c@1"; got != want {
		t.Errorf("stored are %q; want %q", got, want)
	}
}

// TestAPruneThatEndsTheTransaction has the prune of the first write roll everything
// back. What follows in its batch must not be committed on its own, and then again.
func TestAPruneThatEndsTheTransaction(t *testing.T) {
	var reported []error
	s := openTest(t, Options{Keep: 1, OnPruneError: func(err error) { reported = append(reported, err) }},
		"CREATE TABLE log (x TEXT)",
		"CREATE TRIGGER log_save AFTER INSERT ON snapshots BEGIN INSERT INTO log VALUES (NEW.pid || '@' || NEW.seq); END",
		"INSERT INTO snapshots VALUES ('bad', 1, X'', 0), ('good', 1, X'', 0)",
		"CREATE TRIGGER no_delete BEFORE DELETE ON snapshots WHEN OLD.pid = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'not now'); END",
		"DELETE FROM log")
	if err := errors.Join(inOneBatch(s, saver(t, s, "bad", 2), saver(t, s, "good", 2), saver(t, s, "other", 1))...); err != nil {
		t.Fatal(err)
	}
	if got, want := rows(t, s, "SELECT x FROM log ORDER BY rowid"), "bad@2 good@2 other@1"; got != want {
		t.Errorf("committed were %q; want %q", got, want)
	}
	if got, want := rows(t, s, stored), "bad@1 bad@2 good@2 other@1"; got != want {
		t.Errorf("stored are %q; want %q", got, want)
	}
	var named *store.Error
	if len(reported) != 1 || !errors.As(reported[0], &named) || named.Op != store.OpPrune || named.PersistenceID != "bad" || named.SequenceNr != 2 {
		t.Errorf("OnPruneError got %v; want one error that names the prune of bad at 2", reported)
	}
}

// TestATransactionThatStaysOpen leaves the connection in a transaction, as after a
// ROLLBACK that failed: no Save may be acknowledged that is in it and not committed.
func TestATransactionThatStaysOpen(t *testing.T) {
	s := openTest(t, Options{})
	writer := <-s.db.(*owned).writers
	if err := writer.exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	s.queue.doubtful = true
	writer.release()
	if err := saver(t, s, "a", 1)(); err == nil || !strings.Contains(err.Error(), "transaction") {
		t.Errorf("Save within a transaction that was not its own: %v; want an error that says so", err)
	}
	if got := rows(t, s, stored); got != "" {
		t.Errorf("stored are %q; want nothing", got)
	}
	writer = <-s.db.(*owned).writers
	if err := writer.exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	writer.release()
	if err := saver(t, s, "a", 2)(); err != nil || s.queue.doubtful {
		t.Errorf("Save after it: %v, in doubt: %v; want neither", err, s.queue.doubtful)
	}
}

// TestAFailedCommitReachesAll has the COMMIT of a batch fail, by a constraint that
// SQLite checks only then.
func TestAFailedCommitReachesAll(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "shared.db")+"?_journal_mode=WAL&_foreign_keys=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := New(t.Context(), db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, rule := range []string{
		"CREATE TABLE parent (id INTEGER PRIMARY KEY)",
		"CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
		"CREATE TRIGGER orphan AFTER INSERT ON snapshots WHEN NEW.pid = 'bad' BEGIN INSERT INTO child VALUES (1); END",
	} {
		if _, err := db.Exec(rule); err != nil {
			t.Fatal(err)
		}
	}
	for i, err := range inOneBatch(s, saver(t, s, "a", 1), saver(t, s, "bad", 1), saver(t, s, "b", 1)) {
		if err == nil || !strings.Contains(err.Error(), "FOREIGN KEY") {
			t.Errorf("call %d of a batch whose COMMIT failed: %v; want its error", i, err)
		}
	}
	if got := rows(t, s, stored); got != "" {
		t.Errorf("stored are %q; want nothing", got)
	}
	if err := saver(t, s, "a", 2)(); err != nil {
		t.Errorf("Save after a COMMIT that failed: %v", err)
	}
}

// TestCommitWaitsForReaders needs a rollback journal, where a reader keeps a COMMIT
// waiting, and a connection without a busy timeout.
func TestCommitWaitsForReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := New(t.Context(), db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	read := func() (end func()) {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM snapshots").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := tx.Rollback(); err != nil {
				t.Error(err)
			}
		}
	}

	end := read()
	saved := make(chan error, 1)
	go func() { saved <- saver(t, s, "a", 1)() }()
	for len(saved) == 0 { // until the writer is so far that nobody else can begin to read
		_, err := db.Exec("SELECT count(*) FROM snapshots")
		if isBusy(err) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	end()
	if err := <-saved; err != nil {
		t.Errorf("Save whose COMMIT had to wait for a reader: %v", err)
	}

	// With a reader that stays all of a batch fail, after one wait.
	s.opts.BusyTimeout = 50 * time.Millisecond
	end = read()
	defer end()
	wantOneWait(t, s, nil)
}

// TestABatchWaitsOnce has another connection take the lock between the transaction
// that a bad write spoiled and those that its batch gets instead.
func TestABatchWaitsOnce(t *testing.T) {
	s := openTest(t, Options{BusyTimeout: 50 * time.Millisecond},
		"CREATE TRIGGER refuse BEFORE INSERT ON snapshots WHEN NEW.pid = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END")
	other, err := dbOf(s).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = rawWriter(s, func(driver any) error {
		driver.(modernc.HookRegisterer).RegisterRollbackHook(func() {
			if _, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
				t.Error(err)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantOneWait(t, s, saver(t, s, "bad", 1))
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
}

// wantOneWait makes a batch of 20 Saves and last, and wants all of them to fail for
// a lock without waiting one after the other.
func wantOneWait(t *testing.T, s *Store, last func() error) {
	t.Helper()
	var calls []func() error
	for i := range 20 {
		calls = append(calls, saver(t, s, fmt.Sprint("b", i), 1))
	}
	if last != nil {
		calls = append(calls, last)
	}
	start := time.Now()
	errs := inOneBatch(s, calls...)
	if slices.ContainsFunc(errs, func(err error) bool { return !isBusy(err) }) {
		t.Errorf("Saves that wait for a lock in vain: %v; want errors that say so", errs)
	}
	if took := time.Since(start); took >= 20*s.opts.BusyTimeout {
		t.Errorf("they took %v with a BusyTimeout of %v", took, s.opts.BusyTimeout)
	}
}
