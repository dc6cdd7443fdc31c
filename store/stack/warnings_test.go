package stack

import (
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	const sealed = "encrypt(keys=env:K,context=c)"
	for text, begins := range map[string][]string{
		"memory": nil,
		"fallback | cache | singleflight | limit | zstd | sqlite(path=a.db)": nil,
		"singleflight | zstd | " + sealed + " | memory":                      nil,
		sealed + " | zstd | memory":                                          {"zstd beneath encrypt"},
		sealed + " | singleflight | zstd | memory":                           {"zstd beneath encrypt"},
		"cache | zstd | " + sealed + " | memory":                             {"cache outside of encrypt"},
		sealed + " | cache | memory":                                         {"cache beneath encrypt"},
		sealed + " | " + sealed + " | memory":                                {"encrypt beneath encrypt"},
		"zstd | zstd | zstd | memory":                                        {"zstd beneath zstd"},
		"limit | singleflight | cache | memory":                              {"limit outside of singleflight", "limit outside of cache", "singleflight outside of cache"},
		"zstd | fallback | memory":                                           {"fallback beneath zstd"},
		`cache | route(a="` + sealed + ` | memory",b="memory")`:              {`route "a": cache outside of encrypt`},
		`route(a="zstd | zstd | memory")`:                                    {`route "a": zstd beneath zstd`},
	} {
		spec, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got := spec.Warnings()
		if len(got) != len(begins) || !slices.EqualFunc(got, begins, strings.HasPrefix) {
			t.Errorf("%s: %q; want %q", text, got, begins)
		}
	}
}

// Every warning names layers that there are.
func TestWarningsNameLayers(t *testing.T) {
	for _, w := range warnings {
		for _, name := range []string{w.outer, w.inner} {
			if _, known := layerKinds[name]; !known || !strings.Contains(w.text, name) {
				t.Errorf("%q is no layer, or not in %q", name, w.text)
			}
		}
	}
}
