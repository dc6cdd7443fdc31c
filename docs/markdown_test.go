// Package docs holds the guides, and the tests that keep them, the README and the
// packages' own documentation true. Of every Markdown file of the repository:
//
//   - Each block of Go is type-checked. One that begins with "package" is a file, and one of
//     declarations alone is the rest of a file. Any other is the body of a function that has
//     a ctx and returns an error. What else it uses is declared by a comment in the line
//     above the block, which readers do not see:
//
//     <!-- given: snapshots store.SnapshotStore, state []byte -->
//
//     The imports are those of the packages it names. A block below
//
//     <!-- from: examples/folder/folder.go -->
//
//     is part of that file, letter for letter. Go in the comments of Go files is type-checked
//     likewise.
//
//   - Each stack in text form is parsed, also those in the comments of Go files. One
//     without a backend is parsed above memory.
//
//   - Each name of a package's, as store.ErrNotFound, is there.
//
//   - Each command names folders and flags that are there.
//
//   - Each link to a file finds it.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the folder of the module, as seen from this one.
const root = ".."

// A page is a Markdown file.
type page struct {
	path   string // below root
	blocks []block
	spans  []string // code within lines of prose
	links  []string
}

// A block is a fenced one.
type block struct {
	page     string
	line     int // of its first line of code
	language string
	note     string // the comment above it, without its dashes
	text     string
}

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	link     = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	note     = regexp.MustCompile(`^<!--\s*(.*?)\s*-->$`)
)

// pages returns every Markdown file of the repository.
func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	for _, path := range files(t, ".md") {
		all = append(all, readPage(t, path))
	}
	if len(all) < 5 {
		t.Fatalf("found %d pages; the README, the CHANGELOG and the guides are more", len(all))
	}
	return all
}

// files returns the files below root whose names end so.
func files(t *testing.T, ending string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && entry.Name() == ".git" {
			return filepath.SkipDir
		}
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ending) {
			found = append(found, strings.TrimPrefix(filepath.ToSlash(path), root+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readPage(t *testing.T, path string) page {
	t.Helper()
	p := page{path: path}
	var prose strings.Builder
	var open *block
	above := ""
	nr := 0
	for line := range strings.Lines(read(t, path)) {
		nr++
		fence, isFence := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch {
		case isFence && open == nil:
			open = &block{page: path, line: nr + 1, language: fence}
			if m := note.FindStringSubmatch(above); m != nil {
				open.note = m[1]
			}
		case isFence:
			p.blocks = append(p.blocks, *open)
			open = nil
		case open != nil:
			open.text += line
		default:
			prose.WriteString(strings.TrimSpace(line) + " ") // a span may go over the end of a line
		}
		above = strings.TrimSpace(line)
	}
	if open != nil {
		t.Errorf("%s:%d: a block is not closed", path, open.line)
	}
	for _, m := range codeSpan.FindAllStringSubmatch(prose.String(), -1) {
		p.spans = append(p.spans, m[1])
	}
	for _, m := range link.FindAllStringSubmatch(prose.String(), -1) {
		p.links = append(p.links, m[1])
	}
	return p
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, p := range pages(t) {
		for _, target := range p.links {
			if strings.Contains(target, "://") {
				continue // no test asks the network
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(p.path), filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: a link leads to %s: %v", p.path, target, err)
			}
		}
	}
}
