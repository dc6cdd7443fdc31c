package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/bench/workload"
)

// TestMain sees to it that the drawing goroutine ends.
func TestProgressIsDrawnToTheEnd(t *testing.T) {
	var out bytes.Buffer
	bar := drawProgress(&out, 100)
	bar.update(workload.Progress{Step: 0, Steps: 4, Target: "memory", Doing: "warm-up"})
	bar.update(workload.Progress{Step: 4, Steps: 4})
	bar.end()
	if !strings.Contains(out.String(), "measured  done!") {
		t.Errorf("drew %q", &out)
	}
}

func TestProgressEndsEarly(t *testing.T) {
	var out bytes.Buffer
	drawProgress(&out, 100).end()
	if !strings.Contains(out.String(), "measured") {
		t.Errorf("drew %q", &out)
	}
}

func TestProgressIsOnlyForTerminals(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var buffer bytes.Buffer
	if bar := newProgress(&buffer); bar != nil {
		t.Error("a bar is drawn into a buffer")
	}
	bar := newProgress(file)
	bar.update(workload.Progress{Step: 1, Steps: 2})
	bar.end()
	if info, err := file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("%v bytes were written into a file, %v", info.Size(), err)
	}
}
