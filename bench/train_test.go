package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/compress"
)

func TestTrainWritesADictionary(t *testing.T) {
	files := make(map[string]string)
	for n := range 200 {
		files[fmt.Sprint(n)] = fmt.Sprintf(`{"id":"order-%d","customer":{"number":%d,"country":"DE","status":"open"},"total":%d}`, n, n*n, 1000-n)
	}
	path := filepath.Join(t.TempDir(), "states.dict")
	args := []string{"-states", writeFiles(t, files), "-train", path, "-train-size", "4KiB"}
	status, stdout, stderr := bench(t, t.Context(), args...)
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d, stderr %q; want 0 and nothing", status, stderr)
	}
	dictionary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id, err := compress.DictionaryID(dictionary)
	if err != nil || len(dictionary) > 4<<10 {
		t.Fatalf("a dictionary of %d bytes, %v", len(dictionary), err)
	}
	for _, want := range []string{path + ": ", fmt.Sprintf("id %d", id), "from 200 states", "50 of them", "times smaller"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout %q lacks %q", stdout, want)
		}
	}

	// It serves a stack, and is not written over.
	status, _, stderr = bench(t, t.Context(), append(args[:2:2], "-stack", fmt.Sprintf("zstd(dict=%q) | memory", path), "-duration", "10ms", "-ids", "5")...)
	if status != exitOK || stderr != "" {
		t.Errorf("status %d, stderr %q; want 0 and nothing", status, stderr)
	}
	status, _, stderr = bench(t, t.Context(), args...)
	if status != exitUsage || !strings.Contains(stderr, "does not exist") {
		t.Errorf("status %d, stderr %q; want %d and that the file is there", status, stderr, exitUsage)
	}
}

func TestTrainRefusesStates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "states.dict")
	status, stdout, stderr := bench(t, t.Context(), "-states", writeFiles(t, map[string]string{"a": "one state", "b": "something else"}), "-train", path)
	if status != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "allowed are states that resemble each other") {
		t.Errorf("status %d, stdout %q, stderr %q; want %d and one line", status, stdout, stderr, exitUsage)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("states that are no good left a file: %v", err)
	}
}
