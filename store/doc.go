// Package store is the contract of Snapstack: what a snapshot is, what a store
// of snapshots promises, and the errors and helpers that every backend and
// wrapper shares. It imports nothing else of the module.
//
// A snapshot is opaque state, keyed by a persistence id (which entity) and a
// sequence number (how far the entity's events had been applied). Event-sourced
// and actor systems write one now and then and read the latest when an entity
// wakes, so that they need not replay all of its events.
//
// [SnapshotStore] has five methods. Backends (packages memory, sqlite,
// objectstore) keep snapshots; wrappers (packages cache, compress, encrypt and
// store/observe, and [Fallback] and [Limit] here) hold another store and add something
// to it. A wrapper is a store, so they stack in any order, and the promises written at
// SnapshotStore hold for every stack. A [Route] holds several, for different ids. Package
// storetest checks them. Stacks are put together in Go, or by package store/stack from a
// line of text.
//
// # Use
//
// When an entity wakes, load its latest snapshot and replay the events after its
// sequence number; with ErrNotFound, all events. While it lives, save its state when a
// [Policy] says so, at the number of the last event applied, and only when that event is
// in the journal. [Typed] does the encoding. Delete removes what is not needed any more;
// mostly the Keep of the backend does that.
//
// # Capabilities
//
// What only some stores can do is an optional interface with a helper beside
// it, so the core stays small: [Lister] with [List], [Viewer] with
// [ViewLatest]. A wrapper names the store it holds through [Wrapper], and [As]
// looks for a capability from the outermost layer inwards. Only what observes
// (listing, statistics) may be reached that way; whatever would bypass the work
// of a wrapper on its way is implemented by the wrapper or falls back to the
// five methods.
//
// # Errors
//
// Every error of a store matches at most one of the sentinels [ErrNotFound],
// [ErrInvalid], [ErrTooLarge], [ErrCorrupt] and [ErrClosed] with errors.Is, or
// ctx.Err() when the caller's context ended, and is an [*Error] that names the
// operation and the entity.
//
// # Dependencies
//
// The turns of a [Limit] are those of golang.org/x/sync/semaphore, which is fair and
// knows contexts.
package store
