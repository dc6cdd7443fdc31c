package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

const (
	// soak, set to 1, makes TestCrash run for 1500 rounds, which takes some ten
	// minutes, TestPowerLoss for 200, and TestDamagedPages damage every page.
	soak = "SNAPSTACK_SOAK"

	// crashSeed, set to the number that a failing TestCrash printed, makes it write
	// the same again. When the processes are scheduled and killed stays chance.
	crashSeed = "SNAPSTACK_SEED"

	// crashChild is set for the processes to be killed, to their task.
	crashChild = "SNAPSTACK_SQLITE_CRASH_CHILD"
)

const (
	crashWriters  = 4 // goroutines of a process
	crashEntities = 3 // ids of a writer
)

// TestCrash kills processes (SIGKILL) that save and delete, at a random moment: while
// they open the file, write, commit, checkpoint or close. Then it compares the file
// with a model.
//
// What each writer does follows from the seed, and it does one thing after the
// other, on ids of its own. So what the file must hold is known exactly: what all
// the acknowledged operations of the writer together left behind, or that and the
// one operation that was under way, whole. Anything else is a failure: a snapshot
// lost, half written, mixed up, back from the dead, or kept beyond Keep.
//
// A killed process leaves the system alive, and with it what was written and not
// synced. What a loss of power leaves is in TestPowerLoss, and that Open tells SQLite
// to sync in TestSavesWaitForTheDisk.
func TestCrash(t *testing.T) {
	if task := os.Getenv(crashChild); task != "" {
		crashingProcess(t.Context(), task)
	}
	seed := rand.Uint64()
	if text := os.Getenv(crashSeed); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", crashSeed, err)
		}
	}
	files, rounds := 1, 5
	if os.Getenv(soak) == "1" {
		files, rounds = 30, 10
	}
	for _, c := range []struct {
		name      string
		keep      int
		journal   sqlite.JournalMode
		processes int
	}{
		{"KeepAll", 0, sqlite.WAL, 1},
		{"Keep2", 2, sqlite.WAL, 1},
		{"RollbackJournal", 2, sqlite.Delete, 1},
		{"TwoProcesses", 0, sqlite.WAL, 2},
		{"TwoProcessesKeep2", 2, sqlite.WAL, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			for file := range files {
				seed := seed + uint64(file)
				t.Logf("%s=%d", crashSeed, seed)
				crash := crashTest{
					path:      filepath.Join(t.TempDir(), "snapshots.db"),
					options:   sqlite.Options{Keep: c.keep, JournalMode: c.journal, BusyTimeout: time.Minute},
					processes: c.processes,
					seed:      seed,
					random:    rand.New(rand.NewPCG(seed, 0)),
					model:     crashModel{},
				}
				for round := range rounds {
					crash.round(t, round)
					if t.Failed() {
						return
					}
				}
			}
		})
	}
}

// A crashTest is what the rounds on one file share.
type crashTest struct {
	path      string
	options   sqlite.Options
	processes int
	seed      uint64
	random    *rand.Rand
	model     crashModel
}

// round lets processes write, kills them, and checks the file.
func (c *crashTest) round(t *testing.T, round int) {
	t.Helper()
	// The first process is killed within its lines; the last one goes on, with the
	// dead one's locks and half-written WAL about, and is killed later.
	acknowledged := make([][crashWriters]int, c.processes)
	dead := make([]chan struct{}, c.processes)
	var wg sync.WaitGroup
	for process := range c.processes {
		dead[process] = make(chan struct{})
		killing := crashKilling{lines: c.random.IntN(80 / c.processes), delay: time.Duration(c.random.Int64N(int64(3 * time.Millisecond)))}
		if process > 0 {
			killing.after = dead[process-1]
		}
		task := fmt.Sprintf("%d %d %d %d %s %s", c.seed, round, process, c.options.Keep, c.options.JournalMode, c.path)
		wg.Go(func() {
			defer close(dead[process])
			var err error
			if acknowledged[process], err = runAndKill(t.Context(), task, killing); err != nil {
				t.Errorf("round %d, process %d: %v", round, process, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}

	// In every second round what was left behind is checked in a copy, so that the
	// processes of the next round find it as it is.
	path := c.path
	if round%2 == 1 {
		path = copyDatabase(t, c.path)
	}
	opts := c.options
	opts.Keep = 0
	s := openFile(t, path, opts)
	found, err := readAll(t.Context(), s)
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	for process := range c.processes {
		for writer := range crashWriters {
			c.check(t, found, round, process, writer, acknowledged[process][writer])
		}
	}
	for id := range found {
		t.Errorf("round %d: the id %q is there, which nobody saved", round, id)
	}

	// And life goes on.
	save(t, s, "afterwards", uint64(round), fmt.Sprint("round ", round))
	wantLatest(t, s, "afterwards", uint64(round), fmt.Sprint("round ", round))
	if err := s.Delete(t.Context(), "afterwards", store.MaxSequenceNr); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wantIntegrity(t, path)
}

// check compares what is found of a writer's ids with what it did, takes them out of
// found, and brings the model up to date.
func (c *crashTest) check(t *testing.T, found crashModel, round, process, writer, acknowledged int) {
	t.Helper()
	plan := newCrashPlan(c.seed, round, process, writer)
	actual, before := crashModel{}, crashModel{}
	for _, id := range plan.ids {
		if found[id] != nil {
			actual[id] = found[id]
			delete(found, id)
		}
		if c.model[id] != nil {
			before[id] = c.model[id]
		}
	}
	for range acknowledged {
		before.apply(plan.next(), c.options.Keep)
	}
	underWay := plan.next()
	after := before.clone()
	after.apply(underWay, c.options.Keep)

	expected := before
	if !actual.equal(before) {
		expected = after
	}
	if !actual.equal(expected) {
		t.Errorf("round %d: process %d, writer %d, %d operations acknowledged and under way %v: the file holds\n%v\nwant\n%v\nor\n%v",
			round, process, writer, acknowledged, underWay, actual, before, after)
	}
	maps.Copy(c.model, expected)
}

// A crashModel is what is stored: for each id and number a digest of the snapshot. An
// id of which nothing is left may be there or not.
type crashModel map[string]map[uint64]string

// apply does to the model what the operation does to the store.
func (m crashModel) apply(op crashOperation, keep int) {
	numbers := m[op.id]
	if numbers == nil {
		numbers = map[uint64]string{}
		m[op.id] = numbers
	}
	if op.delete {
		maps.DeleteFunc(numbers, func(nr uint64, _ string) bool { return nr <= op.nr })
		return
	}
	numbers[op.nr] = digest(op.snapshot())
	if keep == 0 {
		return
	}
	below := slices.DeleteFunc(slices.Sorted(maps.Keys(numbers)), func(nr uint64) bool { return nr > op.nr })
	for _, nr := range below[:max(0, len(below)-keep)] {
		delete(numbers, nr)
	}
}

func (m crashModel) clone() crashModel {
	c := crashModel{}
	for id, numbers := range m {
		c[id] = maps.Clone(numbers)
	}
	return c
}

func (m crashModel) equal(other crashModel) bool {
	return m.String() == other.String()
}

// String lists the snapshots, one a line.
func (m crashModel) String() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(m)) {
		for _, nr := range slices.Sorted(maps.Keys(m[id])) {
			fmt.Fprintf(&b, "  %s at %d: %s\n", id, nr, m[id][nr])
		}
	}
	return b.String()
}

func digest(snap store.Snapshot) string {
	return fmt.Sprintf("%d bytes %.8x at %d ms", len(snap.State), sha256.Sum256(snap.State), snap.Timestamp.UnixMilli())
}

// readAll reads every snapshot of s.
func readAll(ctx context.Context, s *sqlite.Store) (crashModel, error) {
	found := crashModel{}
	for info, err := range s.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		snap, err := s.LoadBefore(ctx, info.PersistenceID, info.SequenceNr+1)
		if err != nil || snap.PersistenceID != info.PersistenceID || snap.SequenceNr != info.SequenceNr || int64(len(snap.State)) != info.StoredBytes {
			return nil, fmt.Errorf("LoadBefore gave %q at %d with %d bytes, %v; listed is %+v", snap.PersistenceID, snap.SequenceNr, len(snap.State), err, info)
		}
		if found[info.PersistenceID] == nil {
			found[info.PersistenceID] = map[uint64]string{}
			latest, err := s.LoadLatest(ctx, info.PersistenceID)
			if err != nil || latest.SequenceNr != info.SequenceNr || !bytes.Equal(latest.State, snap.State) {
				return nil, fmt.Errorf("LoadLatest gave %d, %v, which is not what LoadBefore gave at %d", latest.SequenceNr, err, info.SequenceNr)
			}
		}
		found[info.PersistenceID][info.SequenceNr] = digest(snap)
	}
	return found, nil
}

// wantIntegrity has SQLite check the file, in a connection without a store.
func wantIntegrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var result string
	err = db.QueryRow("SELECT group_concat(integrity_check, '; ') FROM pragma_integrity_check").Scan(&result)
	if err := errors.Join(err, db.Close()); err != nil || result != "ok" {
		t.Errorf("PRAGMA integrity_check: %q, %v; want ok", result, err)
	}
}

// copyDatabase copies the file with what a crash left beside it, and returns the
// path of the copy. The WAL index (-shm) is left out: SQLite makes it anew.
func copyDatabase(t *testing.T, path string) string {
	t.Helper()
	folder := t.TempDir()
	for _, suffix := range []string{"", "-wal", "-journal"} {
		data, err := os.ReadFile(path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, filepath.Base(path)+suffix), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, filepath.Base(path))
}

// A crashKilling is when a process is killed: a delay after it printed so many lines,
// counted from when another is dead, if that is not nil.
type crashKilling struct {
	after <-chan struct{}
	lines int
	delay time.Duration
}

// runAndKill starts a process with the task, kills it, and returns how many
// operations of each writer it acknowledged.
func runAndKill(ctx context.Context, task string, killing crashKilling) (acknowledged [crashWriters]int, err error) {
	executable, err := os.Executable()
	if err != nil {
		return acknowledged, err
	}
	cmd := exec.CommandContext(ctx, executable, "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), crashChild+"="+task)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	output, err := cmd.StdoutPipe()
	if err != nil {
		return acknowledged, err
	}
	if err := cmd.Start(); err != nil {
		return acknowledged, err
	}
	counting, killed := killing.after == nil, false
	left := killing.lines
	// What it printed before it died is read to the end: all that was acknowledged.
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var writer, operation int
		if n, _ := fmt.Sscanf(lines.Text(), "writer %d acknowledged %d", &writer, &operation); n == 2 && acknowledged[writer] == operation {
			acknowledged[writer]++
		} else if lines.Text() != "opening" && lines.Text() != "closing" {
			err = errors.Join(err, fmt.Errorf("it printed %q", lines.Text()))
		}
		if !counting {
			select {
			case <-killing.after:
				counting = true
			default:
			}
		}
		if counting && left >= 0 {
			if left--; left < 0 {
				time.Sleep(killing.delay) // to hit any moment of what it does now
				killed = true
				err = errors.Join(err, cmd.Process.Kill())
			}
		}
	}
	err = errors.Join(err, lines.Err())
	// That it was killed is an error here.
	if waited := cmd.Wait(); !killed || err != nil {
		err = errors.Join(err, fmt.Errorf("the process ended by itself: %w: %s", waited, complaints.Bytes()))
	}
	return acknowledged, err
}

// crashingProcess writes until it is killed. Now and then it closes the store and
// opens it again.
func crashingProcess(ctx context.Context, task string) {
	var seed uint64
	var round, process, keep int
	var journal, path string
	if _, err := fmt.Sscanf(task, "%d %d %d %d %s %s", &seed, &round, &process, &keep, &journal, &path); err != nil {
		crashFailed(err)
	}
	var plans [crashWriters]*crashPlan
	for writer := range plans {
		plans[writer] = newCrashPlan(seed, round, process, writer)
	}
	for {
		fmt.Println("opening") // os.Stdout has no buffer: it is in the pipe now
		s, err := sqlite.Open(ctx, path, sqlite.Options{
			Keep:         keep,
			JournalMode:  sqlite.JournalMode(journal),
			BusyTimeout:  time.Minute,
			OnPruneError: crashFailed,
		})
		if err != nil {
			crashFailed(err)
		}
		var wg sync.WaitGroup
		for writer, plan := range plans {
			wg.Go(func() {
				for range 15 {
					if err := plan.next().do(ctx, s); err != nil {
						crashFailed(err)
					}
					fmt.Printf("writer %d acknowledged %d\n", writer, plan.made-1)
				}
			})
		}
		wg.Wait()
		fmt.Println("closing")
		if err := s.Close(); err != nil {
			crashFailed(err)
		}
	}
}

func crashFailed(err error) {
	fmt.Println("failed:", err)
	os.Exit(1)
}

// A crashPlan is what a writer does, one operation after the other. It is the same
// in the process that does it and in the one that checks it.
type crashPlan struct {
	random *rand.Rand
	ids    [crashEntities]string
	last   [crashEntities]uint64 // the highest number of each id
	seed   uint64
	made   int
}

func newCrashPlan(seed uint64, round, process, writer int) *crashPlan {
	p := &crashPlan{
		random: rand.New(rand.NewPCG(seed, uint64(round)<<32|uint64(process)<<16|uint64(writer))),
		seed:   seed,
	}
	for i := range p.ids {
		p.ids[i] = fmt.Sprintf("process-%d-writer-%d-entity-%d", process, writer, i)
		p.last[i] = uint64(round) * 1_000_000 // above what earlier rounds saved
	}
	return p
}

func (p *crashPlan) next() crashOperation {
	entity := p.random.IntN(crashEntities)
	op := crashOperation{id: p.ids[entity], size: 200, taken: time.UnixMilli(int64(p.made))}
	op.content = sha256.Sum256(fmt.Append(nil, p.seed, op.id, p.last, p.made))
	p.made++
	back := func() uint64 { return p.last[entity] - min(p.last[entity], p.random.Uint64N(4)) }
	switch p.random.IntN(16) {
	case 0:
		op.delete, op.nr = true, store.MaxSequenceNr
		return op
	case 1, 2:
		op.delete, op.nr = true, back()
		return op
	case 3, 4:
		op.nr = back() // replaces one, mostly
	default:
		p.last[entity]++
		op.nr = p.last[entity]
	}
	if p.random.IntN(12) == 0 {
		op.size = 1<<20 + p.random.IntN(2<<20)
	}
	return op
}

// A crashOperation is a Delete up to nr, or a Save at nr of what follows from content.
type crashOperation struct {
	id      string
	nr      uint64
	delete  bool
	size    int
	content [32]byte
	taken   time.Time
}

func (op crashOperation) String() string {
	if op.delete {
		return fmt.Sprintf("delete %s up to %d", op.id, op.nr)
	}
	return fmt.Sprintf("save %s at %d: %s", op.id, op.nr, digest(op.snapshot()))
}

func (op crashOperation) do(ctx context.Context, s *sqlite.Store) error {
	if op.delete {
		return s.Delete(ctx, op.id, op.nr)
	}
	return s.Save(ctx, op.snapshot())
}

func (op crashOperation) snapshot() store.Snapshot {
	state := make([]byte, op.size)
	_, _ = rand.NewChaCha8(op.content).Read(state) // never fails
	return store.Snapshot{PersistenceID: op.id, SequenceNr: op.nr, Timestamp: op.taken, State: state}
}
