package docs_test

import (
	"fmt"
	"go/token"
	"go/types"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// name matches a name of a package's, as store.ErrNotFound or cache.Cache.Invalidate.
var name = regexp.MustCompile(`^\*?([a-z]\w*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?$`)

func TestNamesExist(t *testing.T) {
	names := make(map[string]string) // with the page
	for _, p := range pages(t) {
		for _, span := range p.spans {
			if name.MatchString(span) {
				names[span] = p.path
			}
		}
	}
	if len(names) < 10 {
		t.Errorf("found %d names; there are more", len(names))
	}
	scopes := newScopes(t)
	for span, where := range names {
		if err := scopes.find(span); err != nil {
			t.Errorf("%s: %s: %v", where, span, err)
		}
	}
}

func TestBrokenNamesAreNoticed(t *testing.T) {
	scopes := newScopes(t)
	for span, broken := range map[string]bool{
		"store.ErrNotFound":      false,
		"*store.Error":           false,
		"cache.Cache.Invalidate": false,
		"cache.Options.MaxBytes": false,
		"store.ErrAbsent":        true,
		"cache.Cache.Forget":     true,
		"caches.Cache":           true,
	} {
		if err := scopes.find(span); (err != nil) != broken {
			t.Errorf("%s: %v; want an error: %v", span, err, broken)
		}
	}
}

// scopes are the packages that pages name, by name.
type scopes struct {
	paths   map[string]string
	imports types.Importer
}

func newScopes(t *testing.T) *scopes {
	t.Helper()
	paths := importPaths(t)
	return &scopes{paths: paths, imports: newImporter(t, token.NewFileSet(), slices.Collect(maps.Values(paths)))}
}

// find returns an error unless the package has the name, and what that names the second.
func (s *scopes) find(span string) error {
	parts := name.FindStringSubmatch(span)
	path, ok := s.paths[parts[1]]
	if !ok {
		return fmt.Errorf("there is no package %s", parts[1])
	}
	pkg, err := s.imports.Import(path)
	if err != nil {
		return err
	}
	object := pkg.Scope().Lookup(parts[2])
	if object == nil {
		return fmt.Errorf("package %s has no %s", strings.TrimPrefix(path, "github.com/"), parts[2])
	}
	if parts[3] == "" {
		return nil
	}
	if member, _, _ := types.LookupFieldOrMethod(object.Type(), true, pkg, parts[3]); member == nil {
		return fmt.Errorf("%s has no %s", parts[2], parts[3])
	}
	return nil
}
