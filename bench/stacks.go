package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
	"github.com/snapstack/snapstack/store/storetest"
)

// defaultStacks returns the stacks that are compared where none are named, keeping
// what they store in dir, an absolute path: a durable backend bare, under the
// wrappers for hot reads, and with compression beside them; the other durable
// backend; and memory, which shows what is possible at most.
func defaultStacks(dir string) ([]stack.Spec, error) {
	file := func(name string) string { return filepath.Join(dir, name) }
	folder := func(name string) string {
		return (&url.URL{Scheme: "file", Path: filepath.ToSlash(file(name))}).String()
	}
	var specs []stack.Spec
	for _, text := range []string{
		fmt.Sprintf("sqlite(path=%q)", file("1.db")),
		fmt.Sprintf("cache | singleflight | sqlite(path=%q)", file("2.db")),
		fmt.Sprintf("cache | singleflight | zstd | sqlite(path=%q)", file("3.db")),
		fmt.Sprintf("objectstore(url=%q)", folder("4")),
		"memory",
	} {
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

// withKeep returns the spec with a bound on the snapshots that its backends keep
// of an entity, unless they have one: a run saves them by the thousand.
func withKeep(spec stack.Spec) (stack.Spec, error) {
	spec = slices.Clone(spec)
	backend := &spec[len(spec)-1]
	if backend.Name == "route" {
		backend.Options = slices.Clone(backend.Options)
		for i, option := range backend.Options {
			routed, err := stack.Parse(option.Value)
			if err != nil {
				return nil, err
			}
			if routed, err = withKeep(routed); err != nil {
				return nil, err
			}
			backend.Options[i].Value = routed.String()
		}
		return spec, spec.Check()
	}
	if slices.ContainsFunc(backend.Options, func(o stack.Option) bool { return o.Name == "keep" }) {
		return spec, nil
	}
	backend.Options = append(slices.Clone(backend.Options), stack.Option{Name: "keep", Value: "3"})
	return spec, spec.Check()
}

// targets returns what opens the stacks, with a counter above each backend. In their
// names temp, if it is not empty, gives way to TEMP, being long.
func targets(specs []stack.Spec, temp string) []workload.Target {
	all := make([]workload.Target, len(specs))
	for i, spec := range specs {
		name := spec.String()
		if temp != "" {
			name = strings.ReplaceAll(name, temp, "TEMP")
		}
		all[i] = workload.Target{
			Name: name,
			Open: func(ctx context.Context) (store.SnapshotStore, error) {
				counted := false
				return spec.Open(ctx, func(_ stack.Layer, s store.SnapshotStore) store.SnapshotStore {
					if counted {
						return s
					}
					counted = true // the backend is opened first
					return storetest.NewCounter(s)
				})
			},
		}
	}
	return all
}
