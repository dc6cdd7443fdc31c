package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Route is a store of stores: each id has its snapshots in one of them. So one kind
// of entity can be compressed at a high level, or kept in another bucket or for
// longer, and the rest not.
//
// List, and with it Copy, shows of each store the ids that are routed to it: what
// else one holds could not be loaded through the Route. As does not look into a
// Route, since there is no one store beneath.
type Route struct {
	stores []SnapshotStore
	pick   func(persistenceID string) int // of stores
	routes string                         // for errors: which ids have a store
}

var (
	_ SnapshotStore = (*Route)(nil)
	_ Viewer        = (*Route)(nil)
	_ Lister        = (*Route)(nil)
	_ Keeper        = (*Route)(nil)
)

// NewRoute returns a Route by prefix of the id: the longest that matches decides, and
// "" matches every id. Calls for an id that none matches are ErrInvalid. The Route
// closes the stores when it is closed itself.
func NewRoute(prefixes map[string]SnapshotStore) (*Route, error) {
	longestFirst := slices.SortedFunc(maps.Keys(prefixes), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	stores := make([]SnapshotStore, len(longestFirst))
	for i, prefix := range longestFirst {
		stores[i] = prefixes[prefix]
	}
	return newRoute(stores, fmt.Sprintf("ids that begin with one of %q", longestFirst), func(id string) int {
		return slices.IndexFunc(longestFirst, func(prefix string) bool { return strings.HasPrefix(id, prefix) })
	})
}

// NewRouteFunc returns a Route by function: pick says by its index which of the stores
// an id belongs to, and must always say the same. Calls for an id for which it says an
// index that there is not are ErrInvalid. Pick is called concurrently. The Route closes
// the stores when it is closed itself.
func NewRouteFunc(stores []SnapshotStore, pick func(persistenceID string) int) (*Route, error) {
	if pick == nil {
		return nil, Wrap(OpOpen, "", 0, fmt.Errorf("route: %w pick: nil", ErrInvalid))
	}
	return newRoute(slices.Clone(stores), fmt.Sprintf("ids for which the function says 0 to %d", len(stores)-1), pick)
}

func newRoute(stores []SnapshotStore, routes string, pick func(string) int) (*Route, error) {
	if len(stores) == 0 {
		return nil, Wrap(OpOpen, "", 0, fmt.Errorf("route: %w: no store; at least one is needed", ErrInvalid))
	}
	if slices.Contains(stores, nil) {
		return nil, Wrap(OpOpen, "", 0, fmt.Errorf("route: %w: one of the stores is nil", ErrInvalid))
	}
	return &Route{stores: stores, pick: pick, routes: routes}, nil
}

// Save implements SnapshotStore.
func (r *Route) Save(ctx context.Context, snap Snapshot) error {
	s, err := r.route(snap.PersistenceID)
	if err != nil {
		return Wrap(OpSave, snap.PersistenceID, snap.SequenceNr, err)
	}
	return s.Save(ctx, snap)
}

// LoadLatest implements SnapshotStore.
func (r *Route) LoadLatest(ctx context.Context, persistenceID string) (Snapshot, error) {
	s, err := r.route(persistenceID)
	if err != nil {
		return Snapshot{}, Wrap(OpLoadLatest, persistenceID, 0, err)
	}
	return s.LoadLatest(ctx, persistenceID)
}

// LoadBefore implements SnapshotStore.
func (r *Route) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (Snapshot, error) {
	s, err := r.route(persistenceID)
	if err != nil {
		return Snapshot{}, Wrap(OpLoadBefore, persistenceID, sequenceNr, err)
	}
	return s.LoadBefore(ctx, persistenceID, sequenceNr)
}

// ViewLatest implements Viewer.
func (r *Route) ViewLatest(ctx context.Context, persistenceID string, view func(Snapshot) error) error {
	s, err := r.route(persistenceID)
	if err != nil {
		return Wrap(OpLoadLatest, persistenceID, 0, err)
	}
	return ViewLatest(ctx, s, persistenceID, view)
}

// Delete implements SnapshotStore.
func (r *Route) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	s, err := r.route(persistenceID)
	if err != nil {
		return Wrap(OpDelete, persistenceID, toSequenceNr, err)
	}
	return s.Delete(ctx, persistenceID, toSequenceNr)
}

// List implements Lister. An error ends the listing, also of the stores that come
// after.
func (r *Route) List(ctx context.Context, persistenceID string) iter.Seq2[Info, error] {
	if persistenceID != "" {
		s, err := r.route(persistenceID)
		if err != nil {
			return ListError(persistenceID, err)
		}
		return List(ctx, s, persistenceID)
	}
	return func(yield func(Info, error) bool) {
		for i, s := range r.stores {
			for info, err := range List(ctx, s, "") {
				if err == nil && r.pick(info.PersistenceID) != i {
					continue
				}
				if !yield(info, err) || err != nil {
					return
				}
			}
		}
	}
}

// Keep implements Keeper: it returns the least that a store of the route keeps, not
// counting those that keep all.
func (r *Route) Keep() int {
	least := 0
	for _, s := range r.stores {
		if keeper, ok := As[Keeper](s); ok && keeper.Keep() > 0 && (least == 0 || keeper.Keep() < least) {
			least = keeper.Keep()
		}
	}
	return least
}

// Close implements SnapshotStore. It closes every store, also where one fails.
func (r *Route) Close() error {
	var failures []error
	for _, s := range r.stores {
		failures = append(failures, s.Close())
	}
	return errors.Join(failures...)
}

// Stores returns the stores: those of NewRoute by prefix, the longest first, those of
// NewRouteFunc as they were given.
func (r *Route) Stores() []SnapshotStore { return slices.Clone(r.stores) }

// route returns the store of the id.
func (r *Route) route(persistenceID string) (SnapshotStore, error) {
	if err := CheckID(persistenceID); err != nil {
		return nil, err
	}
	i := r.pick(persistenceID)
	if i < 0 || i >= len(r.stores) {
		return nil, fmt.Errorf("route: %w persistence id: it has no store; allowed are %s", ErrInvalid, r.routes)
	}
	return r.stores[i], nil
}
