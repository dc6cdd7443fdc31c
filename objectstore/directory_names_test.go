package objectstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/store"
)

// trickyIDs are some that file systems would let meet, refuse, or take for a way out.
func trickyIDs() []string {
	ids := []string{
		"a", "A", "b", "B", "aA", "Aa", "AA", "aa", "é", "É", "e\u0301", "E\u0301", "ß", "SS", "ss", "ſ", "K", "k", "\u212a", "ı", "I", "i", "İ", // and pairs that only Unicode folds
		".", "..", "...", "../..", "../a", "/", "/a", "//", "a/b", "a/", "a//b", `a\b`, `..\a`, "C:", "C:/a", "~", "~0123456789abcdef", "_", "__", "_h", "_41", "_4A",
		" ", "a ", "a.", "-", "--", "*", "?", "\n", "\x7f", "%2e%2e",
	}
	for _, c := range []string{"x", "X", "é", "/", ".", "_"} {
		for _, n := range []int{66, 67, 100, 199, 200, 201, 255, 256, 1000} {
			if id := strings.Repeat(c, n); len(id) <= store.MaxIDBytes {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// On a disk that ignores case, or takes 255 bytes in a name, each id has a folder of
// its own all the same, and it is in the directory.
func TestNamesOnDisk(t *testing.T) {
	parent := t.TempDir()
	root := filepath.Join(parent, "root")
	d := openTestDirectory(t, root)
	s, err := New(d, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ids := trickyIDs()
	for _, id := range ids {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: 1, State: []byte(id)}); err != nil {
			t.Fatalf("Save(%.50q): %v", id, err)
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	folded := make(map[string]bool)
	for _, entry := range entries {
		name := entry.Name()
		if len(name) > maxSegment || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			t.Errorf("the name %q of a folder has %d bytes; want up to %d of a-z, 0-9, _ and -", name, len(name), maxSegment)
		}
		folded[strings.ToLower(strings.ToUpper(name))] = true
	}
	if len(folded) != len(ids) {
		t.Errorf("%d folders that differ in more than case for %d ids", len(folded), len(ids))
	}
	for _, path := range files(t, parent) {
		segments := strings.Split(path, "/")
		if len(segments) != 3 || segments[0] != "root" || len(segments[2]) != numberDigits {
			t.Errorf("there is a file %q; want one in a folder of the directory for each id", path)
		}
	}
	for _, id := range ids {
		if snap, err := s.LoadLatest(t.Context(), id); err != nil || string(snap.State) != id {
			t.Errorf("LoadLatest(%.50q) = %.50q, %v", id, snap.State, err)
		}
	}
	for _, id := range ids {
		if err := s.Delete(t.Context(), id, 1); err != nil {
			t.Errorf("Delete(%.50q): %v", id, err)
		}
		if _, err := s.LoadLatest(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("LoadLatest(%.50q) after Delete: %v; want ErrNotFound", id, err)
		}
	}
	if got := files(t, parent); !slices.Equal(got, []string{"root/"}) {
		t.Errorf("when all is deleted the files are %q; want none", got)
	}
}

// The longest name that is ever made beside a key is shorter than it may be.
func TestTemporaryNamesAreShort(t *testing.T) {
	root := t.TempDir()
	d := openTestDirectory(t, root)
	key := strings.Repeat("s", maxSegment) + "/" + strings.Repeat("s", maxSegment)
	seen := false
	d.fsync = func(f *os.File) error {
		if base := filepath.Base(f.Name()); strings.HasPrefix(base, "~") {
			seen = true
			if !isTemporary(base) || len(base) > maxSegment {
				t.Errorf("a temporary file is named %q; want ~ and 16 digits", base)
			}
		}
		return f.Sync()
	}
	mustPut(t, d, key, "body")
	if !seen {
		t.Error("no temporary file was synchronised")
	}
}
