package docs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store/stack"
)

// stackText matches what is meant as a stack: layers that have options, or stand in a row.
var stackText = regexp.MustCompile(`^` + layerName + `(\([^)]*=.*\)|\s*(\([^)]*=.*\))?\s*\|\s*` + layerName + `\b.*)$`)

const layerName = `(memory|sqlite|objectstore|cache|singleflight|zstd|delta|encrypt|fallback|limit|log|route)`

var (
	singleQuoted = regexp.MustCompile(`'([^']+)'`)
	backQuoted   = regexp.MustCompile("`([^`]+)`")
	doubleQuoted = regexp.MustCompile(`"((?:[^"\\]|\\.)+)"`)
)

func TestStacksParse(t *testing.T) {
	texts := make(map[string]string) // with where they stand
	collect := func(where, line string) {
		candidates := []string{line}
		for _, quoted := range []*regexp.Regexp{singleQuoted, backQuoted, doubleQuoted} {
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				candidates = append(candidates, m[1])
			}
		}
		for _, text := range candidates {
			text, _, _ = strings.Cut(strings.TrimSpace(text), " //")
			if stackText.MatchString(text) {
				texts[text] = where
			}
		}
	}
	for _, p := range pages(t) {
		for _, span := range p.spans {
			collect(p.path, span)
		}
		for _, b := range p.blocks {
			nr := b.line
			for line := range strings.Lines(b.text) {
				collect(fmt.Sprintf("%s:%d", b.page, nr), line)
				nr++
			}
		}
	}
	fset := token.NewFileSet()
	for _, path := range files(t, ".go") {
		file, err := parser.ParseFile(fset, filepath.Join(root, filepath.FromSlash(path)), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Comments {
			for _, line := range group.List {
				collect(fset.Position(line.Pos()).String(), commentText(line))
			}
		}
	}
	if len(texts) < 25 {
		t.Fatalf("found %d stacks; there are more", len(texts))
	}

	// What the texts name must be there.
	t.Chdir(t.TempDir())
	writeDictionary(t, "states.dict")
	for text, where := range texts {
		if err := parses(text); err != nil {
			t.Errorf("%s: %s\n%v", where, text, err)
		}
	}
}

// parses returns an error unless the text is a stack, or the wrappers of one.
func parses(text string) error {
	_, err := stack.Parse(text)
	if err == nil {
		return nil
	}
	_, above := stack.Parse(text + " | memory")
	if above == nil {
		return nil
	}
	return errors.Join(err, above)
}

func TestBrokenStacksAreNoticed(t *testing.T) {
	for text, broken := range map[string]bool{
		"cache(size=64MiB) | zstd":             false,
		"sqlite(path=a.db)":                    false,
		"cache(bytes=64MiB) | memory":          true,
		"sqlite(path=a.db) | zstd":             true,
		"cache | zstd(level=fast) | memory":    true,
		`route(a="zstd | memory",""="memory")`: false,
		`route(a="zstd | memry",""="memory")`:  true,
	} {
		if !stackText.MatchString(text) {
			t.Errorf("%s is not seen as a stack", text)
		}
		if err := parses(text); (err != nil) != broken {
			t.Errorf("%s: %v; want an error: %v", text, err, broken)
		}
	}
	for _, other := range []string{"cache", "sqlite", "route(...)", "memory        keep", "zstd's own", "limit (in turn)"} {
		if stackText.MatchString(other) {
			t.Errorf("%s is seen as a stack", other)
		}
	}
}

// commentText returns a line of a comment without its slashes.
func commentText(c *ast.Comment) string { return strings.TrimPrefix(c.Text, "//") }

func writeDictionary(t *testing.T, path string) {
	t.Helper()
	var samples [][]byte
	for i := range 200 {
		samples = append(samples, fmt.Appendf(nil, `{"id":"account-%d","owner":"customer %d","balance":%d,"currency":"EUR","open":true}`, i, i*7, i*i))
	}
	dictionary, err := compress.Train(samples, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, dictionary, 0o600); err != nil {
		t.Fatal(err)
	}
}
