package store_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestRouteConforms(t *testing.T) {
	for name, open := range map[string]func(*testing.T, ...store.SnapshotStore) (*store.Route, error){
		"ByPrefix": func(_ *testing.T, s ...store.SnapshotStore) (*store.Route, error) {
			return store.NewRoute(map[string]store.SnapshotStore{"": s[0], "order-": s[1], "order-2": s[2]})
		},
		"ByFunction": func(_ *testing.T, s ...store.SnapshotStore) (*store.Route, error) {
			return store.NewRouteFunc(s, func(id string) int {
				h := fnv.New32a()
				_, _ = h.Write([]byte(id)) // never fails, says package hash
				return int(h.Sum32() % 3)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
				var stores []store.SnapshotStore
				for range 3 {
					stores = append(stores, newMemory(t, memory.Options{Keep: c.Keep}))
				}
				r, err := open(t, stores...)
				if err != nil {
					t.Fatal(err)
				}
				return r
			})
		})
	}
}

func TestRouteByTheLongestPrefix(t *testing.T) {
	orders, large, users := newMemory(t, memory.Options{}), newMemory(t, memory.Options{}), newMemory(t, memory.Options{})
	r, err := store.NewRoute(map[string]store.SnapshotStore{"order-": orders, "order-large-": large, "user-": users})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]store.SnapshotStore{
		"order-1":       orders,
		"order-":        orders,
		"order-large":   orders,
		"order-large-1": large,
		"user-order-1":  users,
	} {
		save(t, r, id, 1, id)
		for name, s := range map[string]store.SnapshotStore{"orders": orders, "large": large, "users": users} {
			if _, err := s.LoadLatest(t.Context(), id); (err == nil) != (s == want) {
				t.Errorf("%q in %s: %v", id, name, err)
			}
		}
	}
	for _, id := range []string{"order", "Order-1", "x"} {
		err := r.Save(t.Context(), store.Snapshot{PersistenceID: id})
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), `["order-large-" "order-" "user-"]`) {
			t.Errorf("Save of %q: %v; want ErrInvalid and the prefixes that there are", id, err)
		}
		for _, err := range store.List(t.Context(), r, id) {
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("List of %q: %v; want ErrInvalid", id, err)
			}
		}
	}
	if got := r.Stores(); !slices.Equal(got, []store.SnapshotStore{large, orders, users}) {
		t.Errorf("Stores = %v; want the longest prefix first", got)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// What a store holds of ids that are routed elsewhere can't be loaded, and is not
// listed.
func TestRouteListsWhatItCanLoad(t *testing.T) {
	shared := newMemory(t, memory.Options{})
	others := newMemory(t, memory.Options{})
	r, err := store.NewRoute(map[string]store.SnapshotStore{"a-": shared, "b-": shared, "": others})
	if err != nil {
		t.Fatal(err)
	}
	save(t, shared, "c-1", 1, "strayed")
	save(t, others, "a-2", 1, "strayed")
	want := map[string]int{"a-1": 2, "b-1": 2, "c-2": 2}
	for id := range want {
		save(t, r, id, 1, "one")
		save(t, r, id, 2, "two")
	}
	listed := map[string]int{}
	for info, err := range store.List(t.Context(), r, "") {
		if err != nil {
			t.Fatal(err)
		}
		listed[info.PersistenceID]++
	}
	if !maps.Equal(listed, want) {
		t.Errorf("List yields %v; want %v", listed, want)
	}
	dst := newMemory(t, memory.Options{})
	if err := store.Copy(t.Context(), dst, r, store.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	for id := range want {
		if snap, err := dst.LoadLatest(t.Context(), id); err != nil || snap.SequenceNr != 2 {
			t.Errorf("the copy has number %d of %q, %v; want 2", snap.SequenceNr, id, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestRouteListReturnsTheErrorOfAStore(t *testing.T) {
	listless := bare{newMemory(t, memory.Options{})}
	r, err := store.NewRouteFunc([]store.SnapshotStore{listless, newMemory(t, memory.Options{})}, func(string) int { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	save(t, r, "order-1", 1, "one")
	var failures []error
	for _, err := range store.List(t.Context(), r, "") {
		failures = append(failures, err)
	}
	if len(failures) != 1 || !errors.Is(failures[0], errors.ErrUnsupported) {
		t.Errorf("List over a store that can't yields %v; want its error alone", failures)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// failingClose is a store that can't be closed.
type failingClose struct {
	store.SnapshotStore
	err error
}

func (s failingClose) Close() error { return errors.Join(s.err, s.SnapshotStore.Close()) }

func TestRouteClosesEveryStore(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	last := newMemory(t, memory.Options{})
	r, err := store.NewRouteFunc([]store.SnapshotStore{
		failingClose{newMemory(t, memory.Options{}), first}, failingClose{newMemory(t, memory.Options{}), second}, last,
	}, func(string) int { return 0 })
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("Close: %v; want the errors of both", err)
	}
	if _, err := last.LoadLatest(t.Context(), "order-1"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("LoadLatest of the last store after Close: %v; want ErrClosed", err)
	}
}

func TestRouteRefuses(t *testing.T) {
	s := newMemory(t, memory.Options{})
	for name, open := range map[string]func() (*store.Route, error){
		"no prefixes": func() (*store.Route, error) { return store.NewRoute(nil) },
		"a nil store": func() (*store.Route, error) { return store.NewRoute(map[string]store.SnapshotStore{"a": s, "b": nil}) },
		"no stores":   func() (*store.Route, error) { return store.NewRouteFunc(nil, func(string) int { return 0 }) },
		"a nil pick":  func() (*store.Route, error) { return store.NewRouteFunc([]store.SnapshotStore{s}, nil) },
		"one nil store": func() (*store.Route, error) {
			return store.NewRouteFunc([]store.SnapshotStore{s, nil}, func(string) int { return 0 })
		},
	} {
		if r, err := open(); r != nil || !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, %v; want ErrInvalid", name, r, err)
		}
	}
	for _, index := range []int{-1, 1, 7} {
		r, err := store.NewRouteFunc([]store.SnapshotStore{s}, func(string) int { return index })
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Save(t.Context(), store.Snapshot{PersistenceID: "order-1"}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Save where the function says %d of 1 store: %v; want ErrInvalid", index, err)
		}
	}
	if _, err := s.LoadLatest(t.Context(), "order-1"); !errors.Is(err, store.ErrNotFound) {
		t.Error(fmt.Errorf("something was saved: %w", err))
	}
}
