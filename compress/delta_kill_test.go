package compress_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// killChild names the file that a child process saves to; killWriter is its writer.
const (
	killChild  = "SNAPSTACK_TEST_DELTA_CHILD"
	killWriter = "SNAPSTACK_TEST_DELTA_WRITER"
)

// A process that saves through a Delta is killed at any moment, again and again: all that
// it had acknowledged is there, every snapshot has its base, and the next one goes on.
func TestDeltaOfKilledProcesses(t *testing.T) {
	if path := os.Getenv(killChild); path != "" {
		saveUntilKilled(t, path)
		return
	}
	rounds := 10
	if os.Getenv("SNAPSTACK_SOAK") != "" {
		rounds = 300
	}
	path := filepath.Join(t.TempDir(), "snapshots.db")
	states := killStates()
	acknowledged := uint64(0)
	for round := range rounds {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDeltaOfKilledProcesses$")
		child.Env = append(os.Environ(), killChild+"="+path, killWriter+"="+[]string{"", "node-1"}[round%2])
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for seen := 0; lines.Scan(); {
			var nr uint64
			if _, err := fmt.Sscanf(lines.Text(), "saved %d", &nr); err != nil {
				continue
			}
			acknowledged = nr
			if seen++; seen == 5+round*7%31 { // and some more while the signal is on its way
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}

		inner, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d := mustDelta(t, inner, compress.DeltaOptions{})
		snap, err := d.LoadLatest(t.Context(), id)
		if err != nil || snap.SequenceNr < acknowledged || !bytes.Equal(snap.State, states[snap.SequenceNr%uint64(len(states))]) {
			t.Fatalf("round %d: number %d, %v; want %d or more", round, snap.SequenceNr, err, acknowledged)
		}
		acknowledged = snap.SequenceNr // it is there, and stays
		for info, err := range store.List(t.Context(), d, id) {
			if err != nil {
				t.Fatal(err)
			}
			snap, err := d.LoadBefore(t.Context(), id, info.SequenceNr+1)
			if err != nil || !bytes.Equal(snap.State, states[info.SequenceNr%uint64(len(states))]) {
				t.Fatalf("round %d: number %d: %v", round, info.SequenceNr, err)
			}
		}
		mustClose(t, d)
	}
}

// saveUntilKilled saves one number after the other, and says so behind each.
func saveUntilKilled(t *testing.T, path string) {
	inner, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := mustDelta(t, inner, compress.DeltaOptions{MinBytes: -1, MaxShare: 0.5, MaxDeltas: 3, Keep: 3, Writer: os.Getenv(killWriter)})
	states := killStates()
	nr := uint64(1)
	if snap, err := d.LoadLatest(t.Context(), id); err == nil {
		nr = snap.SequenceNr + 1
	}
	for ; ; nr++ {
		if err := d.Save(t.Context(), snapshot(nr, states[nr%uint64(len(states))])); err != nil {
			t.Fatal(err)
		}
		fmt.Println("saved", nr)
	}
}

func killStates() [][]byte { return history(11, 20_000) }
