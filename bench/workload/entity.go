package workload

import (
	"bytes"
	"fmt"
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
}

// state returns the state of the entity at a number. Numbers that follow each
// other have different states, where there is more than one, so that a stale state
// is not taken for a new one.
func (e *entity) state(states [][]byte, nr uint64) []byte {
	return states[(uint64(e.number)+nr)%uint64(len(states))]
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
func (e *entity) check(states [][]byte, snap store.Snapshot, found bool, acknowledged, attempted uint64) *BadRead {
	bad := &BadRead{PersistenceID: e.id, Acknowledged: acknowledged, Attempted: attempted, SequenceNr: snap.SequenceNr}
	switch {
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
		saved := e.state(states, snap.SequenceNr)
		if bytes.Equal(snap.State, saved) {
			return nil
		}
		bad.Problem = fmt.Sprintf("gave number %d with %d bytes that first differ at byte %d from the %d bytes saved",
			snap.SequenceNr, len(snap.State), firstDifference(snap.State, saved), len(saved))
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
