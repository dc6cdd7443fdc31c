package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

// The test is also the command that TestCopyGoesOnAfterAKill kills.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "copy" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestCopyGoesOnAfterAKill(t *testing.T) {
	const snapshots = 600
	src := sqliteAt(file(t))
	s, err := stack.Open(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	for nr := range uint64(snapshots) {
		snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: nr, Timestamp: time.UnixMilli(int64(nr) + 1), State: fmt.Appendf(nil, "state at %4d", nr)}
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	dst := "zstd(min=0) | " + directoryAt(dir)

	// Twice: what was interrupted once can be interrupted again.
	for round := 1; round <= 2; round++ {
		killCopy(t, src, dst, func() bool { return objects(t, dir) >= round*snapshots/4 })
	}
	there := objects(t, dir)
	if there == snapshots {
		t.Fatalf("all %d snapshots are there; the kills came too late to show anything", there)
	}
	out, errs, status := shell{t: t}.run("copy", "-resume", src, dst)
	var copied, had int
	if _, err := fmt.Sscanf(out, "copied %d snapshots of", &copied); err != nil {
		t.Errorf("copy printed %q", out)
	}
	if _, err := fmt.Sscanf(out[strings.Index(out, ";")+1:], " DST had %d snapshots", &had); err != nil {
		t.Errorf("copy printed %q", out)
	}
	if status != exitOK || had < snapshots/2 || had > there || copied+had != snapshots || !strings.Contains(out, "verified 600 snapshots") {
		t.Errorf("with %d there copy ended with status %d, printed %q and said %q", there, status, out, errs)
	}
	shell{t: t}.want("intact: 600 snapshots of 7.6 KiB\n", "verify", dst)
}

// killCopy begins a copy in a process of its own, and kills that when it is time.
func killCopy(t *testing.T, src, dst string, isTime func() bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, self, "copy", "-resume", src, dst)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for !isTime() && ctx.Err() == nil {
	}
	if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) { // SIGKILL
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil || command.ProcessState.Exited() || ctx.Err() != nil {
		t.Fatalf("the copy was not killed in the middle: %v, %v", err, ctx.Err())
	}
}

// objects returns how many objects of the id are in the bucket.
func objects(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "order-1"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		if len(entry.Name()) == 16 { // and not the temporary file of a put
			n++
		}
	}
	return n
}
