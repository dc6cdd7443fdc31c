package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/snapstack/snapstack/store/stack"
)

// A preset is a named list of stacks in a temporary folder. In their texts FILE is a
// database there and FOLDER the URL of a folder there, different ones for each stack.
type preset struct {
	name    string
	meaning string
	stacks  []string
}

// presets are what -preset knows. The first is what runs where no stack is named.
var presets = []preset{
	{"default", "a durable backend bare, under the layers for hot reads and for size; the other one; memory", []string{
		"sqlite(path=FILE)",
		"cache | singleflight | sqlite(path=FILE)",
		"cache | singleflight | zstd | sqlite(path=FILE)",
		"objectstore(url=FOLDER)",
		"memory",
	}},
	{"layers", "what each layer adds to sqlite, one after the other", []string{
		"sqlite(path=FILE)",
		"zstd | sqlite(path=FILE)",
		"singleflight | zstd | sqlite(path=FILE)",
		"cache | singleflight | zstd | sqlite(path=FILE)",
	}},
	{"caches", "sizes of a cache over sqlite", []string{
		"sqlite(path=FILE)",
		"cache(size=4MiB) | singleflight | sqlite(path=FILE)",
		"cache(size=16MiB) | singleflight | sqlite(path=FILE)",
		"cache(size=64MiB) | singleflight | sqlite(path=FILE)",
	}},
	{"levels", "how hard zstd tries, over sqlite", []string{
		"sqlite(path=FILE)",
		"zstd(level=fastest) | sqlite(path=FILE)",
		"zstd(level=default) | sqlite(path=FILE)",
		"zstd(level=better) | sqlite(path=FILE)",
		"zstd(level=best) | sqlite(path=FILE)",
	}},
	{"deltas", "differences from earlier states, best with -scenario drift", []string{
		"sqlite(path=FILE)",
		"zstd | sqlite(path=FILE)",
		"delta | sqlite(path=FILE)",
		"delta | zstd | sqlite(path=FILE)",
	}},
	{"buckets", "an object store, best with -backend-latency 20ms", []string{
		"objectstore(url=FOLDER)",
		"zstd | objectstore(url=FOLDER)",
		"cache | singleflight | zstd | objectstore(url=FOLDER)",
	}},
}

// findPreset returns the preset of that name.
func findPreset(name string) (preset, error) {
	var names []string
	for _, p := range presets {
		if p.name == name {
			return p, nil
		}
		names = append(names, p.name)
	}
	return preset{}, fmt.Errorf("allowed are %s", strings.Join(names, ", "))
}

// specs returns the stacks of a preset, keeping what they store in dir, an absolute
// path.
func (p preset) specs(dir string) ([]stack.Spec, error) {
	var specs []stack.Spec
	for i, text := range p.stacks {
		file := filepath.Join(dir, fmt.Sprintf("%d.db", i+1))
		folder := &url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, fmt.Sprint(i+1)))}
		text = strings.ReplaceAll(text, "FILE", fmt.Sprintf("%q", file))
		text = strings.ReplaceAll(text, "FOLDER", fmt.Sprintf("%q", folder))
		spec, err := stack.Parse(text)
		if err != nil {
			return nil, err
		}
		if spec, err = withKeep(spec); err != nil {
			return nil, err
		}
		specs = append(specs, spec)
	}
	return specs, nil
}
