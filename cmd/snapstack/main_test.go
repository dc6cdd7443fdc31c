package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

// A shell runs commands, and checks what they print and their status.
type shell struct {
	t     *testing.T
	stdin string
}

// want runs a command that must succeed and print this to stdout alone.
func (s shell) want(stdout string, args ...string) {
	s.t.Helper()
	out, errs, status := s.run(args...)
	if status != exitOK || out != stdout || errs != "" {
		s.t.Errorf("%q: status %d, printed\n%q, said\n%q; want status 0 and\n%q", args, status, out, errs, stdout)
	}
}

// fails runs a command that must end with the status and say this on stderr.
func (s shell) fails(status int, says string, args ...string) (stdout string) {
	s.t.Helper()
	out, errs, got := s.run(args...)
	if got != status || !strings.Contains(errs, says) {
		s.t.Errorf("%q: status %d, said\n%q; want status %d and\n%q", args, got, errs, status, says)
	}
	return out
}

func (s shell) run(args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = run(s.t.Context(), args, strings.NewReader(s.stdin), &out, &errs)
	return out.String(), errs.String(), status
}

func file(t *testing.T) string { return filepath.Join(t.TempDir(), "snapshots.db") }

func sqliteAt(path string, options ...string) string {
	return fmt.Sprintf("sqlite(%s)", strings.Join(append(options, fmt.Sprintf("path=%q", path)), ","))
}

func directoryAt(path string) string {
	return fmt.Sprintf("objectstore(url=%q)", "file://"+filepath.ToSlash(path))
}

func TestSnapshotsComeAndGo(t *testing.T) {
	db := sqliteAt(file(t))
	sh := shell{t: t, stdin: "from stdin"}
	state := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(state, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	sh.want("", "put", db, "order-1", "5")
	sh.want("", "put", "-time", "2026-01-02T03:04:05Z", db, "order-1", "7", state)
	sh.want("", "put", db, "tab\tin it", "0", "-")
	sh.want("7\t11\torder-1\n5\t10\torder-1\n"+`0	10	"tab\tin it"`+"\n", "ls", db)
	sh.want("7\t11\torder-1\n5\t10\torder-1\n", "ls", db, "order-1")
	sh.want("", "ls", db, "order-2")
	sh.want("ids        2\nsnapshots  3\nstored     31 bytes (31 B)\nmean       10 B\nlargest    11 B (order-1 at 7)\n", "stat", db)
	sh.want("from a file", "get", db, "order-1")
	sh.want("from stdin", "get", "-seq", "5", db, "order-1")
	sh.fails(exitFailed, "snapshot not found at 6; the newest below is 5", "get", "-seq", "6", db, "order-1")
	sh.fails(exitFailed, "not found", "get", "-seq", "4", db, "order-1")
	sh.fails(exitFailed, "not found", "get", db, "order-2")

	written := filepath.Join(t.TempDir(), "written")
	sh.want("", "get", "-o", written, db, "order-1")
	if got, err := os.ReadFile(written); err != nil || string(got) != "from a file" {
		t.Errorf("get -o wrote %q, %v", got, err)
	}
	s, err := stack.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if snap, err := s.LoadLatest(t.Context(), "order-1"); err != nil || snap.Timestamp.Format("2006-01-02 15:04:05") != "2026-01-02 03:04:05" {
		t.Errorf("put -time saved with the timestamp %v, %v", snap.Timestamp, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	sh.want("", "rm", db, "order-1", "5")
	sh.want("7\t11\torder-1\n", "ls", db, "order-1")
	sh.want("", "rm", db, "order-1", "all")
	sh.want("", "rm", db, "tab\tin it", "all")
	sh.want("ids        0\nsnapshots  0\nstored     0 bytes (0 B)\n", "stat", db)
}

func TestCopyMovesAFleet(t *testing.T) {
	src := sqliteAt(file(t))
	dir := t.TempDir()
	dst := "zstd(min=0) | " + directoryAt(dir)
	sh := shell{t: t}
	for id := range 3 {
		for nr := range 4 {
			shell{t: t, stdin: strings.Repeat("state ", nr)}.want("", "put", src, fmt.Sprintf("order-%d", id), fmt.Sprint(nr))
		}
	}
	const copied, verified = "copied 12 snapshots of 108 B", "\nverified 12 snapshots of 108 B\n"
	sh.want(copied+verified, "copy", src, dst)
	sh.want(copied+"\n", "copy", "-verify=false", src, dst)
	sh.want("", "rm", dst, "order-1", "1")
	sh.want("copied 2 snapshots of 6 B; DST had 10 snapshots"+verified, "copy", "-resume", src, dst)
	sh.want("intact: 12 snapshots of 108 B\n", "verify", dst)
	sh.want("intact: 4 snapshots of 36 B\n", "verify", dst, "order-1")

	// A DST that retains less.
	kept := sqliteAt(file(t), "keep=3")
	sh.want(copied+"\nverified 9 snapshots of 108 B; older than DST keeps: 3 snapshots\n", "copy", src, kept)

	// Another state at a number that -resume takes for copied.
	shell{t: t, stdin: "changed"}.want("", "put", dst, "order-2", "3")
	out := sh.fails(exitFailed, "verified 11 snapshots of 90 B; differing in DST: 1 snapshot", "copy", "-resume", src, dst)
	if !strings.Contains(out, "differs\t3\torder-2\n") {
		t.Errorf("copy printed %q; want the one that differs", out)
	}
	sh.want(copied+verified, "copy", src, dst)
}

// What DST retains less than it should is missing, not retired.
func TestCompareTellsMissingFromRetired(t *testing.T) {
	const noon = "2026-01-02T12:00:00Z" // the timestamps are compared, too
	src, dst := sqliteAt(file(t)), sqliteAt(file(t))
	for nr := range 3 {
		shell{t: t, stdin: "state"}.want("", "put", "-time", noon, src, "order-1", fmt.Sprint(nr))
	}
	shell{t: t, stdin: "state"}.want("", "put", "-time", noon, dst, "order-1", "2")
	for keep, want := range map[int]string{0: "missing in DST: 2 snapshots", 1: "", 2: "missing in DST: 2 snapshots"} {
		var out bytes.Buffer
		a, err := openExisting(t.Context(), src, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := openExisting(t.Context(), dst, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = compare(t.Context(), arguments{stdout: &out, stderr: &out, parallel: 1}, a, b, func(string) int { return keep })
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("keep %d: %v; want %q\n%s", keep, err, want, out.String())
		}
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}

// What one stack of a route lets go says nothing about the others.
func TestKeepIsThatOfTheIDsOwnStack(t *testing.T) {
	spec, err := stack.Parse(`cache | route(a-="zstd | memory(keep=2)",a-b-="route(a-b-c=\"memory(keep=5)\",\"\"=\"memory\")",d-="delta(keep=3) | memory",""="memory(keep=7)")`)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{"a-1": 2, "a-b-1": 0, "a-b-c1": 5, "d-1": 3, "order-1": 7} {
		if got := keep(spec, id); got != want {
			t.Errorf("%s is kept %d times; want %d", id, got, want)
		}
	}

	src := sqliteAt(file(t))
	for _, id := range []string{"a-1", "order-1"} {
		for nr := range 3 {
			shell{t: t, stdin: "state"}.want("", "put", src, id, fmt.Sprint(nr))
		}
	}
	dst := fmt.Sprintf(`route(a-=%q,""=%q)`, sqliteAt(file(t), "keep=1"), sqliteAt(file(t)))
	shell{t: t}.want("copied 6 snapshots of 30 B\nverified 4 snapshots of 20 B; older than DST keeps: 2 snapshots\n", "copy", src, dst)

	// A delta lets go in its backend's stead.
	dst = "delta(keep=2) | " + sqliteAt(file(t))
	shell{t: t}.want("copied 6 snapshots of 30 B\nverified 4 snapshots of 20 B; older than DST keeps: 2 snapshots\n", "copy", src, dst)
}

func TestVerifyFindsWhatIsCorrupt(t *testing.T) {
	dir := t.TempDir()
	bucket := directoryAt(dir)
	for nr := range 3 {
		shell{t: t, stdin: "state"}.want("", "put", bucket, "order-1", fmt.Sprint(nr))
	}
	object := filepath.Join(dir, "order-1", fmt.Sprintf("%016x", uint64(store.MaxSequenceNr-1)))
	body, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	body[len(body)-1] ^= 1
	if err := os.WriteFile(object, body, 0o600); err != nil {
		t.Fatal(err)
	}
	out := shell{t: t}.fails(exitFailed, "intact: 2 snapshots of 10 B; corrupt: 1 snapshot", "verify", bucket)
	if !strings.HasPrefix(out, "corrupt\t1\torder-1\t") || strings.Count(out, "\n") != 1 {
		t.Errorf("verify printed %q; want the one corrupt snapshot", out)
	}
	shell{t: t}.fails(exitFailed, "corrupt", "copy", bucket, "memory")
}

// Ids are read side by side, and whatever is wrong with any of them is told.
func TestManyIDsAreVerifiedAndCompared(t *testing.T) {
	dir := t.TempDir()
	bucket, dst := directoryAt(dir), sqliteAt(file(t))
	s, err := stack.Open(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	var corrupt, differs []string
	for i := range 60 {
		id := fmt.Sprintf("order-%02d", i)
		for nr := range uint64(3) {
			if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: []byte("state")}); err != nil {
				t.Fatal(err)
			}
		}
		switch i % 7 {
		case 2:
			differs = append(differs, "differs\t2\t"+id)
		case 3:
			corrupt = append(corrupt, "corrupt\t1\t"+id)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sh := shell{t: t}
	sh.want("copied 180 snapshots of 900 B\nverified 180 snapshots of 900 B\n", "copy", "-parallel", "7", bucket, dst)
	for _, line := range differs {
		shell{t: t, stdin: "other"}.want("", "put", dst, line[strings.LastIndex(line, "\t")+1:], "2")
	}
	got := sh.fails(exitFailed, fmt.Sprintf("verified %d snapshots of %d B; differing in DST: %d snapshots", 180-len(differs), 5*(180-len(differs)), len(differs)), "copy", "-resume", bucket, dst)
	lines := strings.Split(strings.TrimSpace(got), "\n")[1:] // behind what was copied
	if slices.Sort(lines); !slices.Equal(lines, differs) {
		t.Errorf("copy printed %q; want %q", lines, differs)
	}

	for _, line := range corrupt {
		object := filepath.Join(dir, line[strings.LastIndex(line, "\t")+1:], fmt.Sprintf("%016x", uint64(store.MaxSequenceNr-1)))
		if err := os.WriteFile(object, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got = sh.fails(exitFailed, fmt.Sprintf("intact: %d snapshots of %d B; corrupt: %d snapshots", 180-len(corrupt), 5*(180-len(corrupt)), len(corrupt)), "verify", "-parallel", "5", bucket)
	lines = strings.Split(strings.TrimSpace(got), "\n")
	for i, line := range lines {
		lines[i] = line[:strings.LastIndex(line, "\t")] // less why
	}
	if slices.Sort(lines); !slices.Equal(lines, corrupt) {
		t.Errorf("verify printed %q; want %q", lines, corrupt)
	}
}

// A fallback passes over what is corrupt. It must not hide it from who asks for it.
func TestFallbackHidesNothingCorrupt(t *testing.T) {
	dir := t.TempDir()
	bucket := directoryAt(dir)
	for nr := range 3 {
		shell{t: t, stdin: "state"}.want("", "put", bucket, "order-1", fmt.Sprint(nr))
	}
	if err := os.WriteFile(filepath.Join(dir, "order-1", fmt.Sprintf("%016x", uint64(store.MaxSequenceNr-1))), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := shell{t: t}
	for _, src := range []string{"fallback | " + bucket, fmt.Sprintf(`cache | route(""=%q)`, "fallback | "+bucket)} {
		if out := sh.fails(exitFailed, "intact: 2 snapshots of 10 B; corrupt: 1 snapshot", "verify", src); !strings.HasPrefix(out, "corrupt\t1\torder-1\t") {
			t.Errorf("verify printed %q; want the one corrupt snapshot", out)
		}
		sh.fails(exitFailed, "corrupt", "get", "-seq", "1", src, "order-1")
		sh.want("state", "get", src, "order-1")

		// What is intact is copied, and what is not is told.
		dst := sqliteAt(file(t))
		out := sh.fails(exitFailed, "verified 2 snapshots of 10 B; corrupt in SRC: 1 snapshot", "copy", src, dst)
		if want := "copied 2 snapshots of 10 B; deleted from SRC meanwhile, or passed over by its fallback: 1 snapshot\ncorrupt in SRC\t1\torder-1\n"; out != want {
			t.Errorf("copy printed %q; want %q", out, want)
		}
		sh.want("2\t5\torder-1\n0\t5\torder-1\n", "ls", dst)
	}
}

// Nothing is created by looking at a path that is misspelt.
func TestReadingCreatesNothing(t *testing.T) {
	dir := t.TempDir()
	sh := shell{t: t}
	for _, missing := range []string{
		sqliteAt(filepath.Join(dir, "a.db")),
		"cache | zstd | " + directoryAt(filepath.Join(dir, "b")),
		fmt.Sprintf(`route(""=memory,a=%q)`, sqliteAt(filepath.Join(dir, "c.db"))),
	} {
		for _, args := range [][]string{{"ls", missing}, {"stat", missing}, {"get", missing, "order-1"}, {"verify", missing}, {"rm", missing, "order-1", "all"}, {"copy", missing, sqliteAt(filepath.Join(dir, "d.db"))}} {
			sh.fails(exitFailed, "put and copy create it", args...)
		}
	}
	sh.fails(exitFailed, "no such file", "put", sqliteAt(filepath.Join(dir, "e.db")), "order-1", "1", filepath.Join(dir, "state"))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v; want nothing", entries, err)
	}
}

func TestWrongCommandLines(t *testing.T) {
	db := sqliteAt(file(t))
	for says, args := range map[string][]string{
		`unknown command "list"; allowed are ls`:       {"list"},
		"ls: 0 arguments; wanted is ls STACK [ID]":     {"ls"},
		"ls: 3 arguments":                              {"ls", db, "a", "b"},
		"get: flag provided but not defined: -at":      {"get", "-at", "5", db, "a"},
		`get: sequence number "x"; allowed are whole`:  {"get", "-seq", "x", db, "a"},
		`put: sequence number "-1"`:                    {"put", db, "a", "-1"},
		`put: sequence number "9223372036854775808"`:   {"put", db, "a", "9223372036854775808"},
		`put: -time "noon"; allowed is a time as 2006`: {"put", "-time", "noon", db, "a", "1"},
		"put: invalid persistence id: empty":           {"put", db, "", "1"},
		"ls: invalid persistence id: empty":            {"ls", db, ""},
		"verify: invalid persistence id: empty":        {"verify", db, ""},
		`unknown layer "sqlit"`:                        {"stat", "sqlit(path=a.db)"},
		`rm: sequence number "ALL"`:                    {"rm", db, "a", "ALL"},
		`value "0" for flag -parallel: allowed are`:    {"copy", "-parallel", "0", db, db},
		`value "x" for flag -parallel: allowed are`:    {"verify", "-parallel=x", db},
		"copy: invalid boolean value":                  {"copy", "-verify=maybe", db, db},
	} {
		shell{t: t}.fails(exitUsage, says, args...)
	}
	shell{t: t}.want(usage)
	shell{t: t}.want(usage, "-help")
}

func TestInterruptedEndsWithItsStatus(t *testing.T) {
	db := sqliteAt(file(t))
	shell{t: t, stdin: "state"}.want("", "put", db, "order-1", "1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if status := run(ctx, []string{"stat", db}, strings.NewReader(""), &out, &errs); status != exitInterrupted {
		t.Errorf("status %d, said %q; want %d", status, errs.String(), exitInterrupted)
	}
}

func TestProgressIsDrawn(t *testing.T) {
	var out bytes.Buffer
	line := drawProgress(&out, "copied")
	line.update(3, 2048)
	line.end()
	line.end()
	if !strings.Contains(out.String(), "copied 3 snapshots, 2.0 KiB") {
		t.Errorf("drawn is %q", out.String())
	}
	newProgress(&out, "copied").update(1, 1) // no terminal, and no line
}
