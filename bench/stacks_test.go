package main

import (
	"strings"
	"testing"

	"github.com/snapstack/snapstack/store/stack"
)

func TestWithKeepBoundsWhatIsUnbounded(t *testing.T) {
	for text, want := range map[string]string{
		"memory":                                      "memory(keep=3)",
		"memory(keep=0)":                              "memory(keep=0)",
		"memory(keep=1)":                              "memory(keep=1)",
		"cache | zstd | sqlite(path=x)":               "cache | zstd | sqlite(path=x,keep=3)",
		"objectstore(url=mem://)":                     "objectstore(url=mem://,keep=3)",
		"delta | zstd | memory":                       "delta(keep=3) | zstd | memory",
		`route(a="zstd | memory",b="memory(keep=0)")`: `route(a="zstd | memory(keep=3)",b="memory(keep=0)")`,
	} {
		spec, err := stack.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := withKeep(spec)
		if err != nil || got.String() != want {
			t.Errorf("withKeep(%s) = %s, %v; want %s", text, got, err, want)
		}
		if again, err := stack.Parse(text); err != nil || spec.String() != again.String() {
			t.Errorf("withKeep changed the spec that it was given into %s", spec)
		}
	}
}

func TestPresetsNameNoTemporaryFolder(t *testing.T) {
	dir := t.TempDir()
	for _, p := range presets {
		specs, err := p.specs(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range targets(config{stacks: specs, temp: dir}) {
			if strings.Contains(target.Name, dir) || !strings.Contains(target.Name, "keep=3") {
				t.Errorf("%s: want TEMP in the place of %s, and keep", target.Name, dir)
			}
		}
	}
}
