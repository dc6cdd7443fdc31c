package docs_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// standard are the packages of the standard library that fragments may name.
var standard = []string{"context", "database/sql", "encoding/json", "errors", "expvar", "fmt", "log", "log/slog", "net/http", "os", "testing", "time"}

func TestGoBlocksCompile(t *testing.T) {
	known := importPaths(t)
	fset := token.NewFileSet()
	var checked []*ast.File
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "go" {
				continue
			}
			if path, from := strings.CutPrefix(b.note, "from: "); from {
				if !strings.Contains(read(t, path), b.text) {
					t.Errorf("%s:%d: the block is not a part of %s", b.page, b.line, path)
				}
				continue
			}
			file, err := parseBlock(fset, b, known)
			if err != nil {
				t.Error(err)
				continue
			}
			checked = append(checked, file)
		}
	}
	if len(checked) == 0 {
		t.Fatal("there is no block of Go to check")
	}
	imports := importerFor(t, fset, checked)
	for _, file := range checked {
		for _, err := range typeErrors(fset, file, imports) {
			t.Error(err)
		}
	}
}

// What the test is worth: it takes what is right and refuses what is wrong.
func TestBrokenBlocksAreNoticed(t *testing.T) {
	known := importPaths(t)
	for text, broken := range map[string]bool{
		"err := snapshots.Close()\nif err != nil {\n\treturn err\n}\n": false,
		"s, err := stack.Open(ctx, \"memory\")\n":                      false, // what it declares is for the reader
		"snapshots.Shut()\n":                                                      true,
		"s, err := stack.Opened(ctx, \"memory\")\n":                               true,
		"s, err := sqlite.Open(ctx, path, sqlite.Options{Kept: 3})\n":             true,
		"s, err := sqlite.Open(ctx, \"a.db\", sqlite.Options{Keep: \"three\"})\n": true,
		"return 7\n": true,
		"for {\n":    true,
		"func Test(t *testing.T) {\n\tstoretest.Run(t, nil)\n}\n":             false,
		"func Test(t *testing.T) {\n\tstoretest.Run(t)\n}\n":                  true,
		"package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n":   false,
		"package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Printline() }\n": true,
	} {
		fset := token.NewFileSet()
		b := block{page: "page.md", line: 1, note: "given: snapshots store.SnapshotStore", text: text}
		file, err := parseBlock(fset, b, known)
		var errs []error
		if err != nil {
			errs = []error{err}
		} else {
			errs = typeErrors(fset, file, importerFor(t, fset, []*ast.File{file}))
		}
		if (len(errs) > 0) != broken {
			t.Errorf("%q: errors %v; want some: %v", text, errs, broken)
		}
	}
}

// parseBlock returns the block as a file, by the rules of the package's comment.
func parseBlock(fset *token.FileSet, b block, known map[string]string) (*ast.File, error) {
	text := fmt.Sprintf("//line %s:%d\n%s\n", b.page, b.line, b.text)
	if strings.HasPrefix(b.text, "package ") {
		return parser.ParseFile(fset, "", text, parser.SkipObjectResolution)
	}
	body, err := parser.ParseFile(fset, "", "package page\n"+text, parser.SkipObjectResolution)
	if err != nil { // no declarations alone
		given, _ := strings.CutPrefix(b.note, "given: ")
		text = "func _(ctx context.Context, " + given + ") error {\n" + text + "return nil }\n"
		if body, err = parser.ParseFile(fset, "", "package page\n"+text, parser.SkipObjectResolution); err != nil {
			return nil, err
		}
	}
	var imports strings.Builder
	for _, name := range selected(body) {
		if path, ok := known[name]; ok {
			fmt.Fprintf(&imports, "import %s %q\n", name, path)
		}
	}
	return parser.ParseFile(fset, "", "package page\n"+imports.String()+text, parser.SkipObjectResolution)
}

// selected returns the names that stand ahead of a dot.
func selected(file *ast.File) []string {
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				names = append(names, x.Name)
			}
		}
		return true
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// importPaths returns the paths of the packages that fragments may name, by name.
func importPaths(t *testing.T) map[string]string {
	t.Helper()
	known := make(map[string]string)
	for _, path := range standard {
		known[path[strings.LastIndex(path, "/")+1:]] = path
	}
	for line := range strings.Lines(golist(t, "-f", "{{.Name}} {{.ImportPath}}", "./...")) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "main" && path != "" {
			known[name] = path
		}
	}
	return known
}

// importerFor returns an importer for what the files import.
func importerFor(t *testing.T, fset *token.FileSet, files []*ast.File) types.Importer {
	t.Helper()
	var paths []string
	for _, file := range files {
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
	}
	return newImporter(t, fset, paths)
}

// newImporter returns an importer for packages and what they import. It has the go command
// compile them, which the build cache mostly spares it.
func newImporter(t *testing.T, fset *token.FileSet, paths []string) types.Importer {
	t.Helper()
	exports := make(map[string]string)
	for line := range strings.Lines(golist(t, append([]string{"-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, paths...)...)) {
		path, export, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = export
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
}

func golist(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	command.Dir = root
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list %q: %v\n%s", args, err, errs.String())
	}
	return string(out)
}

// typeErrors returns what is wrong with a file. What is declared and not used is not: the
// reader goes on from there.
func typeErrors(fset *token.FileSet, file *ast.File, imports types.Importer) []error {
	var errs []error
	config := types.Config{Importer: imports, Error: func(err error) {
		if e, ok := err.(types.Error); !ok || !e.Soft {
			errs = append(errs, err)
		}
	}}
	// The error is the first of those that were told.
	_, _ = config.Check("page", fset, []*ast.File{file}, nil)
	return errs
}
