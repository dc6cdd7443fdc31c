// Package cache has the wrappers for hot reads: Cache, which keeps the latest
// snapshot of each id that it loads within a budget of bytes, and Singleflight, which
// lets concurrent loads of one id share one load.
//
// Both may stand anywhere in a stack and never make it lie: within one process and
// one store value, a history of calls on an id is linearizable if it is so for the
// inner store, whatever fails, panics or is cancelled on the way. Its price is that
// loads which overlap a write of their id are neither kept nor shared.
//
// Two things are beyond any wrapper. Another process that writes to the same
// backend is not seen before an entry's time to live has passed, unless Invalidate
// says so. And an inner store whose failed write takes effect only after it
// returned (a PUT that was given up, and arrives) may leave the state before it in
// the cache that long.
//
// # Order
//
// A cache over a singleflight over everything else serves hits without a flight,
// and lets a storm of misses share one; through ViewLatest they share its bytes as
// well, and a large state is kept as it came. Over compress a cache holds states ready for use; beneath, compressed ones,
// more of them.
//
// # Dependencies
//
// The lists of entries are hashicorp/golang-lru's simplelru, under a lock and a budget
// in bytes of this package's own; what its 2Q does against scans, it does for numbers
// of entries alone, and with fewer hits than S3FIFO. Flights are not those of x/sync: its
// singleflight knows no contexts, and any caller may join a load that began before
// a write which that caller has seen finish.
package cache
