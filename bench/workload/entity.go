package workload

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/snapstack/snapstack/store"
)

// An entity is what the run knows of one persistence id.
type entity struct {
	id     string
	number int // among the entities of its store

	// Its sequence numbers are 1, 2, 3 and so on. A save raises attempted before it
	// begins and acknowledged after it has returned nil; what a load may return lies
	// between the two.
	attempted    atomic.Uint64
	acknowledged atomic.Uint64

	// Saves hold gone for reading, and who deletes the entity for good holds it for
	// writing: no save comes after. Leaving is set before, so that a load which finds
	// nothing knows why.
	gone    sync.RWMutex
	deleted bool // guarded by gone
	leaving atomic.Bool

	events atomic.Int64 // handled, in Steady
}

// acknowledge notes that the save of nr returned nil.
func (e *entity) acknowledge(nr uint64) {
	for {
		// Saves of an entity may overtake each other.
		highest := e.acknowledged.Load()
		if nr <= highest || e.acknowledged.CompareAndSwap(highest, nr) {
			return
		}
	}
}

// check returns what is wrong with a load that gave snap, or ErrNotFound where
// found is false; nil if nothing is. Acknowledged was read before the load began,
// attempted after it returned: a save may both begin and end in between.
func (e *entity) check(from *source, snap store.Snapshot, found bool, acknowledged, attempted uint64) *BadRead {
	bad := &BadRead{PersistenceID: e.id, Acknowledged: acknowledged, Attempted: attempted, SequenceNr: snap.SequenceNr}
	switch {
	case !found && e.leaving.Load():
		return nil // it was deleted in between
	case !found:
		bad.Stale = true
		bad.Problem = fmt.Sprintf("found nothing, but number %d was saved before the load began", acknowledged)
	case snap.PersistenceID != e.id:
		bad.Problem = fmt.Sprintf("gave a snapshot of %q", snap.PersistenceID)
	case snap.SequenceNr < acknowledged:
		bad.Stale = true
		bad.Problem = fmt.Sprintf("gave number %d, but number %d was saved before the load began", snap.SequenceNr, acknowledged)
	case snap.SequenceNr > attempted:
		bad.Problem = fmt.Sprintf("gave number %d, but the highest ever saved was %d", snap.SequenceNr, attempted)
	default:
		right := false
		from.use(e, snap.SequenceNr, func(saved []byte) {
			if right = bytes.Equal(snap.State, saved); !right {
				bad.Problem = fmt.Sprintf("gave number %d with %d bytes that first differ at byte %d from the %d bytes saved",
					snap.SequenceNr, len(snap.State), firstDifference(snap.State, saved), len(saved))
			}
		})
		if right {
			return nil
		}
	}
	return bad
}

// firstDifference returns the index of the first byte in which a and b differ, the
// shorter one ending there at the latest.
func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
