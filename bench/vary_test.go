package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/store/stack"
)

func TestVary(t *testing.T) {
	for _, c := range []struct {
		text   string
		stacks []string
		want   []string // or an error that says the first
	}{
		{"size=1MiB,8MiB", []string{"cache(ttl=5m,size=2MiB) | memory"}, []string{"cache(ttl=5m,size=1MiB) | memory", "cache(ttl=5m,size=8MiB) | memory"}},
		{"level=fastest,best", []string{"memory", "cache | zstd | memory"}, []string{"memory", "cache | zstd(level=fastest) | memory", "cache | zstd(level=best) | memory"}},
		{"keep=1,2", []string{"memory(keep=3)"}, []string{"memory(keep=1)", "memory(keep=2)"}},
		{"max=1MiB", []string{"zstd | sqlite(path=a.db)"}, []string{"zstd(max=1MiB) | sqlite(path=a.db)"}}, // the outermost that has it
		{"sqlite.max=1MiB", []string{"zstd | sqlite(path=a.db)"}, []string{"zstd | sqlite(path=a.db,max=1MiB)"}},
		{"cache.size=1MiB,x", []string{"cache | memory"}, []string{"option size=x; allowed is a size"}},
		{"size=1MiB", []string{"memory"}, []string{`unknown option "size"; allowed are keep`}},
		{"cache.size=1MiB", []string{"memory"}, []string{`no stack has a layer "cache"`}},
		{"size", []string{"memory"}, []string{"allowed is an option and its values"}},
		{"size=", []string{"memory"}, []string{"allowed is an option and its values"}},
		{"=1MiB", []string{"memory"}, []string{"allowed is an option and its values"}},
	} {
		var specs []stack.Spec
		for _, text := range c.stacks {
			spec, err := stack.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			specs = append(specs, spec)
		}
		varied, err := vary(specs, c.text)
		var got []string
		for _, spec := range varied {
			got = append(got, spec.String())
		}
		if err != nil {
			if !strings.Contains(err.Error(), c.want[0]) {
				t.Errorf("%s: %v; want %s", c.text, err, c.want)
			}
		} else if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q; want %q", c.text, got, c.want)
		}
		for i, spec := range specs {
			if spec.String() != c.stacks[i] {
				t.Errorf("%s changed the stack that it was given into %s", c.text, spec)
			}
		}
	}
}

func TestVaryNeedsStacks(t *testing.T) {
	if status, _, stderr := bench(t, t.Context(), "-vary", "keep=1,2"); status != exitUsage || !strings.Contains(stderr, "-vary needs -stack") {
		t.Errorf("status %d, stderr %q; want %d", status, stderr, exitUsage)
	}
}
