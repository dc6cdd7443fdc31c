package stack

import (
	"context"
	"maps"
	"slices"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// An opener opens a layer over inner, which is nil for a backend.
type opener func(ctx context.Context, inner store.SnapshotStore) (store.SnapshotStore, error)

// A kind is what a name of a layer stands for.
type kind struct {
	backend bool
	read    func(v *values) opener // asks for all options of the layer, and opens nothing
}

var layerKinds = map[string]kind{
	"memory":   {backend: true, read: readMemory},
	"fallback": {read: readFallback},
}

// backendNames and wrapperNames are the names in layerKinds, for errors.
var (
	backendNames = namesOf(true)
	wrapperNames = namesOf(false)
)

func namesOf(backend bool) []string {
	names := slices.Sorted(maps.Keys(layerKinds))
	return slices.DeleteFunc(names, func(name string) bool { return layerKinds[name].backend != backend })
}

func readMemory(v *values) opener {
	opts := memory.Options{Keep: v.count("keep")}
	return func(context.Context, store.SnapshotStore) (store.SnapshotStore, error) {
		return memory.New(opts)
	}
}

func readFallback(v *values) opener {
	opts := store.FallbackOptions{Attempts: v.count("attempts")}
	return func(_ context.Context, inner store.SnapshotStore) (store.SnapshotStore, error) {
		return store.NewFallback(inner, opts)
	}
}
