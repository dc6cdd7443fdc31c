package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeFiles returns a new folder with files of these names and contents.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func wantStates(t *testing.T, states [][]byte, want ...string) {
	t.Helper()
	var got []string
	for _, state := range states {
		got = append(got, string(state))
	}
	if !slices.Equal(got, want) {
		t.Errorf("states %q; want %q", got, want)
	}
}

func TestLoadStates(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"b.bin":           "\x00\xff bytes",
		"a.txt":           "",
		"c/d/deep":        "deep",
		"c/.git/config":   "hidden",
		".DS_Store":       "hidden",
		"e.json":          " \n[ {\"b\": 1,\n \"a\":2} ,\t\"text\",3.0, [1, 2],null]\n",
		"f.JSON":          `[1]`,
		"object.json":     ` {"a": [1]} `,
		"unfinished.json": `{"a":`,
		"array.txt":       `[1,2]`,
	})
	states, err := loadStates([]string{dir, filepath.Join(dir, "b.bin"), filepath.Join(dir, ".DS_Store")})
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, states,
		"", `[1,2]`, "\x00\xff bytes", "deep",
		"{\"b\": 1,\n \"a\":2}", `"text"`, `3.0`, `[1, 2]`, `null`, // as they are written
		`1`,
		` {"a": [1]} `, `{"a":`, // no array: the bytes are the state
		"\x00\xff bytes", "hidden", // named by the user
	)
}

func TestLoadStatesFollowsLinks(t *testing.T) {
	files := writeFiles(t, map[string]string{"a": "state"})
	links := t.TempDir()
	for name, to := range map[string]string{"file": filepath.Join(files, "a"), "around": links} {
		if err := os.Symlink(to, filepath.Join(links, name)); err != nil {
			t.Skip(err)
		}
	}
	states, err := loadStates([]string{links, filepath.Join(links, "around")})
	if err != nil {
		t.Fatal(err)
	}
	wantStates(t, states, "state", "state")
}

func TestLoadStatesRefuses(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"hidden/.a":       "x",
		"empty.json":      `[ ]`,
		"element.json":    `[1, {"a":}, 3]`,
		"unfinished.json": `[1, {"a":1}`,
		"cut.json":        `[1, {"a`,
		"comma.json":      `[1,]`,
		"behind.json":     `[1] [2]`,
		"good.json":       `[1]`,
	})
	if err := os.Mkdir(filepath.Join(dir, "nothing"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"absent":          "absent",
		"nothing":         "no states",
		"hidden":          "no states",
		"empty.json":      "an empty JSON array",
		"element.json":    "element 1 of the JSON array",
		"unfinished.json": "does not end",
		"cut.json":        "element 1 of the JSON array: unexpected EOF",
		"comma.json":      "element 1 of the JSON array",
		"behind.json":     "something follows the array",
	} {
		states, err := loadStates([]string{filepath.Join(dir, "good.json"), filepath.Join(dir, name)})
		if states != nil || err == nil || !strings.HasPrefix(err.Error(), "-states: ") || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, error %v; want one that names it and says %q", name, states, err, want)
		}
	}
}

func TestStatesHaveLimits(t *testing.T) {
	dir := writeFiles(t, map[string]string{"5": "12345", "6": "123456", "array.json": `["1","1234","1"]`})
	for _, c := range []struct {
		maxState, maxAll int64
		name             string
		refused          string
	}{
		{5, 100, "5", ""},
		{5, 100, "6", "6: too big"},
		{100, 6, "6", ""},
		{100, 5, "6", "6: too big"},
		{5, 100, "array.json", "element 1: too big"},
		{6, 100, "array.json", ""},
	} {
		l := stateLoader{maxState: c.maxState, maxAll: c.maxAll}
		err := l.load(filepath.Join(dir, c.name))
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s with limits %d and %d: error %v; want %q", c.name, c.maxState, c.maxAll, err, c.refused)
		}
	}
	l := stateLoader{maxState: 100, maxAll: 10}
	if err := l.load(filepath.Join(dir, "5")); err != nil {
		t.Error(err)
	}
	if err := l.load(filepath.Join(dir, "6")); err == nil {
		t.Error("6 bytes after 5 were accepted with a limit of 10")
	}
}
