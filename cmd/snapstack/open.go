package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

// open opens the stack that text describes, for writing.
func open(ctx context.Context, text string) (store.SnapshotStore, stack.Spec, error) {
	spec, err := stack.Parse(text)
	if err != nil {
		return nil, nil, usagef("%v", err)
	}
	s, err := spec.Open(ctx)
	return s, spec, err
}

// openExisting opens the stack that text describes, with what change makes of its layers
// unless that is nil, if nothing would be created by it: to look at a misspelt path must
// not leave an empty database there, nor say that it holds nothing.
func openExisting(ctx context.Context, text string, change func(stack.Layer) []stack.Layer) (store.SnapshotStore, error) {
	spec, err := stack.Parse(text)
	if err != nil {
		return nil, usagef("%v", err)
	}
	if change != nil {
		spec = changed(spec, change)
	}
	for _, backend := range backends(spec) {
		if err := checkExists(backend); err != nil {
			return nil, err
		}
	}
	return spec.Open(ctx)
}

// noFallback takes fallbacks out of a stack, which would give another snapshot in place of
// one that is corrupt.
func noFallback(layer stack.Layer) []stack.Layer {
	if layer.Name == "fallback" {
		return nil
	}
	return []stack.Layer{layer}
}

// changed returns a spec that has been checked with what change makes of each layer, also
// in the stacks of a route: no layer, or others.
func changed(spec stack.Spec, change func(stack.Layer) []stack.Layer) stack.Spec {
	var to stack.Spec
	for _, layer := range spec {
		if layer.Name == "route" {
			layer.Options = slices.Clone(layer.Options)
			for i, option := range layer.Options {
				if routed, err := stack.Parse(option.Value); err == nil { // it has been checked
					layer.Options[i].Value = changed(routed, change).String()
				}
			}
		}
		to = append(to, change(layer)...)
	}
	return to
}

// backends returns the backends of a spec that has been checked.
func backends(spec stack.Spec) []stack.Layer {
	last := spec[len(spec)-1]
	if last.Name != "route" {
		return []stack.Layer{last}
	}
	var all []stack.Layer
	for _, option := range last.Options {
		if routed, err := stack.Parse(option.Value); err == nil { // it has been checked
			all = append(all, backends(routed)...)
		}
	}
	return all
}

func checkExists(backend stack.Layer) error {
	path := ""
	switch backend.Name {
	case "sqlite":
		if path = option(backend, "path"); path == ":memory:" {
			path = ""
		}
	case "objectstore":
		if u, err := url.Parse(option(backend, "url")); err == nil && u.Scheme == "file" { // it has been checked
			path = u.Path
		}
	}
	if path == "" {
		return nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no %q; put and copy create it", backend.Name, path)
	} else if err != nil {
		return err
	}
	return nil
}

// keep returns how many snapshots of the id the stack retains, by the one layer of it that
// lets any go: a backend, or a delta, beneath which no other may. 0 is all.
func keep(spec stack.Spec, id string) int {
	for _, layer := range spec {
		if n, err := strconv.Atoi(option(layer, "keep")); err == nil && n > 0 {
			return n
		}
	}
	backend := spec[len(spec)-1]
	if backend.Name != "route" {
		return 0
	}
	routed := ""
	longest := -1
	for _, o := range backend.Options {
		if strings.HasPrefix(id, o.Name) && len(o.Name) > longest {
			routed, longest = o.Value, len(o.Name)
		}
	}
	inner, err := stack.Parse(routed)
	if err != nil {
		return 0 // no stack is for the id; every load of it says so
	}
	return keep(inner, id)
}

// option returns the value of an option, or "".
func option(layer stack.Layer, name string) string {
	for _, o := range layer.Options {
		if o.Name == name {
			return o.Value
		}
	}
	return ""
}
