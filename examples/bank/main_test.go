package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// The test is the program that the demonstration starts a second time.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "work" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestDemonstration(t *testing.T) {
	var out bytes.Buffer
	if err := demonstrate(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if got := strings.Count(out.String(), "\n"); got != 3*len(accounts) {
		t.Errorf("it printed %d lines; want one for each account and crash:\n%s", got, out.String())
	}
}

// Crashes come at every distance from a snapshot.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.db")
	acknowledged := make([]int64, len(accounts))
	for round := range 12 {
		if err := crash(t.Context(), path, 10+37*round%(every*len(accounts)), acknowledged); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := recovered(t.Context(), path, acknowledged, &out); err != nil {
			t.Fatalf("after %d crashes: %v\n%s", round+1, err, out.String())
		}
	}
}

// What the comparison is worth: an event more or less than was acknowledged fails it.
func TestRecoveredNoticesALostEvent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.db")
	acknowledged := make([]int64, len(accounts))
	if err := crash(t.Context(), path, 200, acknowledged); err != nil {
		t.Fatal(err)
	}
	f, err := open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.snapshots.Delete(t.Context(), accounts[1], 1<<62); err != nil {
		t.Fatal(err)
	}
	if _, err := f.db.Exec("DELETE FROM journal WHERE pid = ? AND seq > ?", accounts[1], acknowledged[1]-1); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := recovered(t.Context(), path, acknowledged, &out); err == nil || !strings.Contains(err.Error(), "were acknowledged") {
		t.Errorf("recovered: %v; want the lost event\n%s", err, out.String())
	}
}
