package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench runs the command and returns what it wrote. Temporary files go to a folder
// that must be empty again at the end.
func bench(t *testing.T, ctx context.Context, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp) // where os.TempDir looks on Unix,
	t.Setenv("TMP", temp)    // and on Windows
	var out, errs bytes.Buffer
	status = command(ctx, args, &out, &errs)
	left, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%q left the temporary file %s", args, entry.Name())
	}
	return status, out.String(), errs.String()
}

// rows returns the values in the rows of the table in stdout, one slice a stack.
func rows(t *testing.T, stdout string) [][]string {
	t.Helper()
	_, after, found := strings.Cut(stdout, "┼")
	if !found {
		t.Fatalf("no table in\n%s", stdout)
	}
	_, after, _ = strings.Cut(after, "\n")
	body, _, _ := strings.Cut(after, "\n\n")
	var rows [][]string
	for line := range strings.Lines(body) {
		var values []string
		for value := range strings.SplitSeq(line, "│") {
			values = append(values, strings.TrimSpace(value))
		}
		rows = append(rows, values)
	}
	return rows
}

// statesFolder returns a folder with a few small states.
func statesFolder(t *testing.T) string {
	t.Helper()
	return writeFiles(t, map[string]string{"a.bin": "first state", "b.json": `[{"n":1}, {"n":2}]`})
}

func TestRunComparesStacks(t *testing.T) {
	status, stdout, stderr := bench(t, t.Context(), "-states", statesFolder(t), "-duration", "20ms", "-concurrency", "2", "-ids", "5", "-seed", "7",
		"-stack", "memory(keep=2)", "-stack", "cache | memory(keep=2)")
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d, stderr %q; want 0 and nothing", status, stderr)
	}
	for _, want := range []string{
		"Scenario mixed: any entity is loaded",
		"3 states of 7B to 11B, 25B in all; 5 entities, 90% loads, 2 at a time, 20ms for each stack, seed 7;",
		"  1  memory(keep=2)\n  2  cache | memory(keep=2)\n",
		notes,
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout)
		}
	}
	got := rows(t, stdout)
	if len(got) != 2 || len(got[0]) != 15 || len(got[1]) != 15 {
		t.Fatalf("want two rows of 15 values:\n%s", stdout)
	}
	bare, cached := got[0], got[1]
	if bare[0] != "1" || cached[0] != "2" || bare[1] != "1.00" || cached[1] == "" {
		t.Errorf("numbers %s, %s, ratios %s, %s; want 1, 2, 1.00 and another", bare[0], cached[0], bare[1], cached[1])
	}
	if bare[7] != none || !strings.HasSuffix(cached[7], "%") {
		t.Errorf("hits %s, %s; want none and some percent", bare[7], cached[7])
	}
	if bare[9] != "100%" || cached[9] == "100%" || cached[9] == none {
		t.Errorf("loads that reached the backend: %s, %s; want all and fewer", bare[9], cached[9])
	}
	for _, r := range got {
		if r[12] != "100%" || r[13] != "0" || r[14] != "0" {
			t.Errorf("stored %s, stale %s, wrong %s; want 100%%, 0, 0", r[12], r[13], r[14])
		}
	}
}

func TestDefaultRun(t *testing.T) {
	status, stdout, stderr := bench(t, t.Context(), "-duration", "50ms", "-ids", "10", "-concurrency", "2")
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d, stderr %q; want 0 and nothing", status, stderr)
	}
	got := rows(t, stdout)
	if len(got) != 5 {
		t.Fatalf("want five rows:\n%s", stdout)
	}
	for _, r := range got {
		if r[2] == none || r[12] == none || r[13] != "0" || r[14] != "0" {
			t.Errorf("%v; want a stack that was measured, lists, and has no bad read", r)
		}
	}
}

func TestInterruptedDefaultRunRemovesItsFiles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // wherever that hits it
	defer cancel()
	status, stdout, stderr := bench(t, ctx, "-duration", "1h", "-ids", "10", "-states", statesFolder(t))
	if status != exitInterrupted || !strings.Contains(stderr, "interrupted") || len(rows(t, stdout)) != 5 {
		t.Errorf("status %d, stderr %q; want %d and a table:\n%s", status, stderr, exitInterrupted, stdout)
	}
}

// In a bubble time passes only where a load waits, so that it is known in which
// round the run is at the load that interrupts it.
func TestInterruptedRunShowsWhatWasMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		loads := 0
		s := storetest.NewLatency(newMemory(t), storetest.LatencyOptions{After: func(op, _ string) time.Duration {
			if op != store.OpLoadLatest {
				return 0
			}
			if loads++; loads == 2500 {
				cancel()
			}
			return time.Millisecond
		}})
		cfg := smallConfig()
		cfg.opts.Duration, cfg.opts.Rounds, cfg.opts.Concurrency = 100*time.Second, 100, 1
		var stdout, stderr bytes.Buffer
		status := compare(ctx, cfg, []workload.Target{target("interrupted", storetest.NewCounter(s))}, &stdout, &stderr)
		if status != exitInterrupted || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("status %d, stderr %q; want %d and a line that says so", status, &stderr, exitInterrupted)
		}
		// 1000 loads were in the warm-up. The last one was interrupted, but did begin.
		got := rows(t, stdout.String())
		if len(got) != 1 || got[0][3] != "1.00ms" || got[0][8] != "1,500" {
			t.Errorf("want one row with 1,500 loads of 1 ms:\n%s", &stdout)
		}
	})
}

func TestParseFlags(t *testing.T) {
	cfg, err := parseFlags([]string{"-states", "a", "-stack", "memory", "-states", "b", "-stack", "zstd|memory(keep=1)", "-seed", "9", "-reads", "0", "-ids", "4", "-concurrency", "3", "-duration", "5s"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := workload.Options{Seed: 9, Reads: -1, IDs: 4, Concurrency: 3, Duration: 5 * time.Second}.Resolve()
	if err != nil || !reflect.DeepEqual(cfg.opts, want) || !slices.Equal(cfg.states, []string{"a", "b"}) {
		t.Errorf("options %+v of states %q, %v; want %+v of a and b", cfg.opts, cfg.states, err, want)
	}
	defaults, err := parseFlags(nil)
	if o := defaults.opts; err != nil || o.Seed != 1 || o.Scenario != workload.Mixed || o.Reads != 0.9 || o.IDs != 200 || o.Concurrency != 8 || o.Duration != 2*time.Second || o.Rounds != 5 || defaults.preset.name != "default" {
		t.Errorf("defaults %+v, %v; want what -help says", defaults, err)
	}
	all, err := parseFlags([]string{"-scenario", "drift", "-size", "2KiB-8KiB", "-incompressible", "0.5", "-change", "0", "-skew", "0", "-every", "3", "-rate", "100", "-warmup", "0s", "-rounds", "2",
		"-backend-latency", "load=20ms,save=1ms", "-preset", "layers", "-prices", "put=1,storage=2"})
	o := all.opts
	if err != nil || o.Scenario != workload.Drift || o.MinBytes != 2<<10 || o.MaxBytes != 8<<10 || o.Incompressible != 0.5 || o.Change != -1 || o.Skew != -1 || o.Every != 3 || o.Rate != 100 || o.Warmup != -1 || o.Rounds != 2 ||
		all.delay != (delay{20 * time.Millisecond, time.Millisecond}) || all.preset.name != "layers" || all.prices.Put != 1 || all.prices.Get != 0.0004 || all.prices.Storage != 2 {
		t.Errorf("%+v, %v; want what the flags say", all, err)
	}
	if len(cfg.stacks) != 2 || cfg.stacks[0].String() != "memory(keep=3)" || cfg.stacks[1].String() != "zstd | memory(keep=1)" {
		t.Errorf("stacks %v", cfg.stacks)
	}
}

func TestHelp(t *testing.T) {
	status, stdout, stderr := bench(t, t.Context(), "-help")
	if status != exitOK || stdout != help() || stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q; want 0 and the help", status, stdout, stderr)
	}
}

func TestBadInputOpensNothing(t *testing.T) {
	dir := t.TempDir()
	database := "sqlite(path=" + filepath.Join(dir, "a.db") + ")"
	for _, c := range []struct {
		args []string
		want []string // in stderr
	}{
		{[]string{"-scenario", "warm"}, []string{"-scenario", `"warm"`, "mixed, hot, recovery"}},
		{[]string{"-scenario", "recovery", "-rate", "5"}, []string{"Rate 5", "recovery"}},
		{[]string{"-size", "1KiB-x"}, []string{"-size", "1KiB to 64MiB"}},
		{[]string{"-size", "4MiB-1KiB"}, []string{"-size", "smaller size first"}},
		{[]string{"-size", "128MiB"}, []string{"-size", "1KiB to 64MiB"}},
		{[]string{"-size", "2KiB", "-states", dir}, []string{"-size", "-states"}},
		{[]string{"-incompressible", "2"}, []string{"-incompressible", "0 to 1"}},
		{[]string{"-change", "-0.1"}, []string{"-change", "0 to 1"}},
		{[]string{"-skew", "1"}, []string{"-skew", "above 1"}},
		{[]string{"-skew", "NaN"}, []string{"-skew", "above 1"}},
		{[]string{"-every", "0"}, []string{"-every", "1 to 1000000"}},
		{[]string{"-rate", "0"}, []string{"-rate", "above 0"}},
		{[]string{"-rounds", "0"}, []string{"-rounds", "1 to 1000"}},
		{[]string{"-warmup", "-1s"}, []string{"-warmup", "durations"}},
		{[]string{"-backend-latency", "x"}, []string{"-backend-latency", "load=20ms,save=1ms"}},
		{[]string{"-backend-latency", "delete=1ms"}, []string{"-backend-latency", "load=20ms,save=1ms"}},
		{[]string{"-backend-latency", "2m"}, []string{"-backend-latency", "0 to 1m"}},
		{[]string{"-preset", "fast"}, []string{"-preset", "default, layers"}},
		{[]string{"-preset", "layers"}, []string{"either -preset, or stacks"}},
		{[]string{"-stacks", filepath.Join(dir, "absent")}, []string{"-stacks", "absent"}},
		{[]string{"-stacks", os.DevNull}, []string{"-stacks", "holds no stack"}},
		{[]string{"-prices", "put=x"}, []string{"-prices", "put, get and storage"}},
		{[]string{"-prices", "list=1"}, []string{"-prices", "put, get and storage"}},
		{[]string{"-o", dir}, []string{"-o", "a file to write"}},
		{[]string{"-o", filepath.Join(dir, "no", "report.html")}, []string{"-o", "a folder that is there"}},
		{[]string{"-save", dir}, []string{"-save", "does not exist"}},
		{[]string{"-compare", filepath.Join(dir, "absent")}, []string{"-compare", "absent"}},
		{[]string{"-compare", os.DevNull}, []string{"-compare", "no saved run"}},
		{[]string{"-duration", "0s"}, []string{"-duration", `"0s"`, "above 0"}},
		{[]string{"-duration", "-1s"}, []string{"-duration", `"-1s"`, "above 0"}},
		{[]string{"-duration", "soon"}, []string{"-duration", `"soon"`, "500ms"}},
		{[]string{"-concurrency", "0"}, []string{"-concurrency", `"0"`, "1 to 1000"}},
		{[]string{"-concurrency", "1001"}, []string{"-concurrency", `"1001"`, "1 to 1000"}},
		{[]string{"-ids", "0"}, []string{"-ids", `"0"`, "1 to 1000000"}},
		{[]string{"-ids", "many"}, []string{"-ids", `"many"`, "1 to 1000000"}},
		{[]string{"-reads", "1.1"}, []string{"-reads", `"1.1"`, "0 to 1"}},
		{[]string{"-reads", "NaN"}, []string{"-reads", `"NaN"`, "0 to 1"}},
		{[]string{"-seed", "-1"}, []string{"-seed", `"-1"`, "from 0"}},
		{[]string{"-train", ""}, []string{"-train", "does not exist"}},
		{[]string{"-train", dir}, []string{"-train", "does not exist"}},
		{[]string{"-train", filepath.Join(dir, "x.dict")}, []string{"-train", "-states", "-stack"}},
		{[]string{"-train-size", "1000"}, []string{"-train-size", `"1000"`, "1KiB to 1MiB"}},
		{[]string{"-train-size", "2MiB"}, []string{"-train-size", `"2MiB"`, "1KiB to 1MiB"}},
		{[]string{"-sates", "x"}, []string{"-sates", "-help"}},
		{[]string{"extra"}, []string{`"extra"`, "-states"}},
		{[]string{"-json", "-csv"}, []string{"allowed is one of -json, -csv and -gobench"}},
		{[]string{"-stack", "memory", "-vary", "keep"}, []string{"-vary", "allowed is an option and its values"}},
		{[]string{"-stack", "memcache"}, []string{"-stack", "memcache", "memory"}},
		{[]string{"-stack", "memory(kep=1)"}, []string{"-stack", "kep", "keep"}},
		{[]string{"-stack", "memory(keep=x)"}, []string{"-stack", "keep=x"}},
		{[]string{"-stack", ""}, []string{"-stack"}},
		{[]string{"-states", filepath.Join(dir, "absent")}, []string{"-states", "absent"}},
		{[]string{"-states", ""}, []string{"-states", "a file or a folder"}},
		{[]string{"-states", t.TempDir()}, []string{"-states", "no states"}},
	} {
		status, stdout, stderr := bench(t, t.Context(), append([]string{"-stack", database}, c.args...)...)
		if status != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "bench: ") {
			t.Errorf("%q: status %d, stdout %q, stderr %q; want %d and one line on stderr", c.args, status, stdout, stderr, exitUsage)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%q: stderr %q lacks %q", c.args, stderr, want)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("bad input created %v, %v", left, err)
	}
}

func TestAFailingStackFailsTheRunAndKeepsTheOthers(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing", "a.db")
	status, stdout, stderr := bench(t, t.Context(), "-states", statesFolder(t), "-duration", "20ms", "-ids", "5",
		"-stack", "sqlite(path="+missing+")", "-stack", "memory")
	if status != exitFailed || !strings.HasPrefix(stderr, "bench: stack 1, sqlite(path=") || !strings.Contains(stderr, "not measured: open") {
		t.Errorf("status %d, stderr %q; want %d and a line about stack 1", status, stderr, exitFailed)
	}
	got := rows(t, stdout)
	if len(got) != 2 || got[0][2] != none || got[1][2] == none || got[1][1] != none {
		t.Errorf("want an empty row and a measured one, which has nothing to be a ratio to:\n%s", stdout)
	}
}

func TestBadReadsFailTheRun(t *testing.T) {
	stale := stale{newMemory(t)}
	var stdout, stderr bytes.Buffer
	status := compare(t.Context(), smallConfig(), []workload.Target{target("intact", newMemory(t)), target("stale", stale)}, &stdout, &stderr)
	if status != exitFailed {
		t.Errorf("status %d; want %d", status, exitFailed)
	}
	line := stderr.String()
	if !strings.HasPrefix(line, "bench: stack 2, stale: ") || !strings.Contains(line, `load latest of "snapstack-bench-2-`) || strings.Count(line, "\n") != 1 {
		t.Errorf("stderr %q; want one line that names stack 2 and the entity", line)
	}
	got := rows(t, stdout.String())
	if len(got) != 2 || got[0][13] != "0" || got[1][13] == "0" || got[1][14] != "0" {
		t.Errorf("want stale reads of the second stack alone:\n%s", &stdout)
	}
}

// stale serves the first snapshot of every id for ever.
type stale struct{ store.SnapshotStore }

func (s stale) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	return s.LoadBefore(ctx, id, 2)
}

func TestFailedOperationsFailTheRun(t *testing.T) {
	loads := 0
	s := storetest.NewFaults(newMemory(t), storetest.FaultOptions{Before: func(op, _ string) error {
		if op == store.OpLoadLatest {
			if loads++; loads%5 == 0 {
				return errors.New("disk on fire")
			}
		}
		return nil
	}})
	cfg := smallConfig()
	cfg.opts.Concurrency = 1
	var stdout, stderr bytes.Buffer
	status := compare(t.Context(), cfg, []workload.Target{target("failing", s)}, &stdout, &stderr)
	if status != exitFailed || !strings.Contains(stderr.String(), "operations failed, the first: load latest") || !strings.Contains(stderr.String(), "disk on fire") {
		t.Errorf("status %d, stderr %q; want %d and the first error", status, &stderr, exitFailed)
	}
}

func TestFailingCloseFailsTheRun(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := compare(t.Context(), smallConfig(), []workload.Target{target("stuck", stuck{newMemory(t)})}, &stdout, &stderr)
	if want := "bench: stack 1, stuck: after measuring: disk full\n"; status != exitFailed || stderr.String() != want {
		t.Errorf("status %d, stderr %q; want %d and %q", status, &stderr, exitFailed, want)
	}
}

// stuck can't be closed.
type stuck struct{ store.SnapshotStore }

func (stuck) Close() error { return errors.New("disk full") }

func TestUnwritableStdoutFailsTheRun(t *testing.T) {
	var stderr bytes.Buffer
	status := compare(t.Context(), smallConfig(), []workload.Target{target("memory", newMemory(t))}, broken{}, &stderr)
	if status != exitFailed || stderr.String() != "bench: broken pipe\n" {
		t.Errorf("status %d, stderr %q; want %d and the error", status, &stderr, exitFailed)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func smallConfig() config {
	opts, err := workload.Options{
		States: [][]byte{[]byte("one"), []byte("two two"), []byte("three")}, IDs: 3, Reads: 0.5, Duration: 20 * time.Millisecond, Concurrency: 2, Seed: 1,
	}.Resolve()
	if err != nil {
		panic(err)
	}
	return config{opts: opts}
}

func target(name string, s store.SnapshotStore) workload.Target {
	return workload.Target{Name: name, Open: func(context.Context) (store.SnapshotStore, error) { return s, nil }}
}

func newMemory(t *testing.T) store.SnapshotStore {
	t.Helper()
	s, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryScenarioAndPreset(t *testing.T) {
	for _, scenario := range workload.Scenarios() {
		status, stdout, stderr := bench(t, t.Context(), "-scenario", string(scenario), "-size", "1KiB-8KiB", "-ids", "5", "-concurrency", "3", "-duration", "30ms", "-rounds", "2",
			"-stack", "memory", "-stack", "cache | singleflight | delta(min=0) | zstd | memory")
		if status != exitOK || stderr != "" || !strings.Contains(stdout, scenario.Meaning()) {
			t.Errorf("%s: status %d, stderr %q:\n%s", scenario, status, stderr, stdout)
		}
	}
	for _, p := range presets {
		status, stdout, stderr := bench(t, t.Context(), "-preset", p.name, "-size", "1KiB-8KiB", "-ids", "5", "-concurrency", "3", "-duration", "30ms", "-rounds", "2", "-backend-latency", "100us")
		if status != exitOK || stderr != "" || len(rows(t, stdout)) != len(p.stacks) {
			t.Errorf("%s: status %d, stderr %q:\n%s", p.name, status, stderr, stdout)
		}
	}
}

func TestStacksFile(t *testing.T) {
	folder := writeFiles(t, map[string]string{"stacks": "# two of them\nmemory\n\n  cache | memory(keep=1)  \n"})
	cfg, err := parseFlags([]string{"-stacks", filepath.Join(folder, "stacks"), "-stack", "zstd | memory"})
	if err != nil || len(cfg.stacks) != 3 || cfg.stacks[1].String() != "cache | memory(keep=1)" || cfg.stacks[2].String() != "zstd | memory(keep=3)" {
		t.Errorf("stacks %v, %v", cfg.stacks, err)
	}
}

func TestSaveCompareAndReport(t *testing.T) {
	dir := t.TempDir()
	saved, page := filepath.Join(dir, "run.json"), filepath.Join(dir, "report.html")
	args := []string{"-states", statesFolder(t), "-duration", "20ms", "-ids", "5", "-stack", "memory", "-stack", "zstd | memory"}
	if status, stdout, stderr := bench(t, t.Context(), append(args, "-save", saved)...); status != exitOK {
		t.Fatalf("status %d, %q, %q", status, stdout, stderr)
	}
	status, stdout, stderr := bench(t, t.Context(), append(args, "-compare", saved, "-o", page)...)
	if status != exitOK || !strings.Contains(stdout, "Since ") || !strings.Contains(stdout, "now to then") {
		t.Errorf("status %d, stderr %q:\n%s", status, stderr, stdout)
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("zstd | memory(keep=3)")) || !bytes.HasPrefix(html, []byte("<!DOCTYPE html>")) {
		t.Errorf("the page is %.40q, %v", html, err)
	}
	if status, _, stderr := bench(t, t.Context(), append(args, "-save", saved)...); status != exitUsage || !strings.Contains(stderr, "does not exist") {
		t.Errorf("a kept run would be lost: status %d, stderr %q", status, stderr)
	}
	status, stdout, stderr = bench(t, t.Context(), append(args, "-reads", "0.5", "-compare", saved)...)
	if status != exitUsage || stdout != "" || !strings.Contains(stderr, "-compare: run: invalid comparison: reads was 0.9 and is 0.5; allowed are runs that did the same") {
		t.Errorf("another workload: status %d, stderr %q", status, stderr)
	}
}

func TestBackendLatencyIsBeneathTheWrappers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := smallConfig()
		cfg.delay = delay{load: 10 * time.Millisecond, save: 30 * time.Millisecond}
		cfg.opts.Duration = time.Second
		var err error
		if cfg.stacks, err = parseStacks([]string{"cache | memory", "memory"}, nil); err != nil {
			t.Fatal(err)
		}
		var results []workload.Result
		if results, err = workload.Run(t.Context(), targets(cfg)[1:], cfg.opts); err != nil {
			t.Fatal(err)
		}
		if r := results[0]; r.Loads.Min() < 9_900_000 || r.Loads.Max() > 10_100_000 || r.Saves.Min() < 29_900_000 || r.Saves.Max() > 30_100_000 {
			t.Errorf("loads take %v to %v ns and saves %v to %v", r.Loads.Min(), r.Loads.Max(), r.Saves.Min(), r.Saves.Max())
		}
	})
}
