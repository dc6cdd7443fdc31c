package docs_test

import (
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goCall matches what only Go has among the code in comments, besides layouts of bytes,
// tables, commands and stacks: a call of a package's function.
var goCall = regexp.MustCompile(`\b[a-z]\w*\.[A-Z]\w*\(`)

// TestGoInCommentsCompiles is TestGoBlocksCompile for the packages' documentation. Code there
// has a ctx and may return an error; what else it uses it must declare.
func TestGoInCommentsCompiles(t *testing.T) {
	known := importPaths(t)
	fset := token.NewFileSet()
	var checked []*ast.File
	for _, path := range files(t, ".go") {
		if strings.HasPrefix(path, "examples/adapters/") {
			continue // a module of its own
		}
		file, err := parser.ParseFile(fset, filepath.Join(root, filepath.FromSlash(path)), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Comments {
			for _, code := range codeIn(group) {
				if !goCall.MatchString(code) {
					continue
				}
				b := block{page: path, line: fset.Position(group.Pos()).Line, text: code}
				file, err := parseBlock(fset, b, known)
				if err != nil {
					t.Error(err)
					continue
				}
				checked = append(checked, file)
			}
		}
	}
	if len(checked) == 0 {
		t.Fatal("there is no Go in comments to check")
	}
	imports := importerFor(t, fset, checked)
	for _, file := range checked {
		for _, err := range typeErrors(fset, file, imports) {
			t.Error(err)
		}
	}
}

// codeIn returns the blocks of code in a comment.
func codeIn(group *ast.CommentGroup) []string {
	var parser comment.Parser
	var found []string
	for _, part := range parser.Parse(group.Text()).Content {
		if code, ok := part.(*comment.Code); ok {
			found = append(found, code.Text)
		}
	}
	return found
}
