package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

// sweep is the command of that name.
func sweep(ctx context.Context, in arguments) (err error) {
	if spec, err := stack.Parse(in.positional[0]); err == nil && !hasDelta(spec) {
		return usagef("sweep: the stack has no delta, and no other layer leaves anything behind")
	}
	s, err := openExisting(ctx, in.positional[0], func(layer stack.Layer) []stack.Layer {
		if layer.Name == "delta" {
			// The one that writes under this name may be running, and no other may have it then.
			layer.Options = slices.DeleteFunc(slices.Clone(layer.Options), func(o stack.Option) bool { return o.Name == "writer" })
		}
		return []stack.Layer{layer}
	})
	if err != nil {
		return err
	}
	defer func() { err = closing(s, err) }()
	removed, err := sweepDeltas(ctx, s)
	report := fmt.Sprintf("removed %s %s", humanize.Comma(int64(removed)), english.PluralWord(removed, "base", ""))
	if _, printErr := fmt.Fprintln(in.stdout, report); err == nil {
		err = printErr
	}
	return err
}

// sweepDeltas sweeps every Delta of a stack, also in the stacks of a route.
func sweepDeltas(ctx context.Context, s store.SnapshotStore) (removed int, err error) {
	var beneath []store.SnapshotStore
	switch layer := s.(type) {
	case *compress.Delta:
		if removed, err = layer.Sweep(ctx); err != nil {
			return removed, err
		}
		beneath = append(beneath, layer.Unwrap())
	case *store.Route:
		beneath = layer.Stores()
	case store.Wrapper:
		beneath = append(beneath, layer.Unwrap())
	}
	for _, s := range beneath {
		n, err := sweepDeltas(ctx, s)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// hasDelta says whether the stack has a delta, or one of those that it routes to.
func hasDelta(spec stack.Spec) bool {
	found := false
	changed(spec, func(layer stack.Layer) []stack.Layer {
		found = found || layer.Name == "delta"
		return []stack.Layer{layer}
	})
	return found
}
