package cache

import "sync"

// overlaps knows which loads overlap writes of the same id: what those loaded must
// not be kept for, or shared with, anyone who comes later. It remembers an id only
// while calls on it are in flight. Its methods need mu, which also guards what
// their answers are about.
//
// Only a load that no write overlapped from beginning to end may be used for
// others. That no write finished meanwhile is not enough:
//
//	A: LoadLatest misses, and reads 1 from the inner store
//	B: Save 2 takes effect in the inner store, and has not returned
//	C: LoadBefore passes to the inner store, and returns 2
//	A: comes back with 1, and puts it in the cache
//	C: LoadLatest hits 1, after C has seen 2
//
// Nor is it enough that none began or finished meanwhile, for B may have begun
// before A did:
//
//	B: Save 2 is on its way to the inner store
//	A: LoadLatest misses, reads 1 and puts it in the cache
//	B: takes effect, and has not returned
//	C: LoadBefore returns 2, then LoadLatest hits 1
//
// A write that ends in an error, a panic or a context that ended may have taken
// effect, and counts like any other.
type overlaps struct {
	mu  sync.Mutex
	ids map[string]*overlap
}

// An overlap is what is in flight on one id.
type overlap struct {
	calls   int    // loads and writes that refer to this
	writes  int    // writes in flight
	tainted uint64 // how often the loads in flight were tainted
	claimed bool   // by a load, since then
}

func newOverlaps() overlaps { return overlaps{ids: make(map[string]*overlap)} }

// beginWrite taints the loads of the id that are in flight, and those that begin
// before endWrite.
func (o *overlaps) beginWrite(id string) *overlap {
	at := o.enter(id)
	at.writes++
	at.taint()
	return at
}

func (o *overlaps) endWrite(id string, at *overlap) {
	at.writes--
	o.leave(id, at)
}

// writing says whether a write of the id is in flight.
func (o *overlaps) writing(id string) bool {
	at := o.ids[id]
	return at != nil && at.writes > 0
}

// A loading is a load in flight, as overlaps sees it.
type loading struct {
	id      string
	at      *overlap
	clean   bool   // no write was in flight when it began
	tainted uint64 // of at, then
}

func (o *overlaps) beginLoad(id string) loading {
	at := o.enter(id)
	return loading{id: id, at: at, clean: at.writes == 0, tainted: at.tainted}
}

func (o *overlaps) endLoad(l loading) { o.leave(l.id, l.at) }

// clean says whether no write has overlapped the load so far.
func (o *overlaps) clean(l loading) bool { return l.clean && l.at.tainted == l.tainted }

// claim says yes to the first of the clean loads that are in flight side by side.
// They found the same, so one is enough to keep.
func (o *overlaps) claim(l loading) bool {
	if !o.clean(l) || l.at.claimed {
		return false
	}
	l.at.claimed = true
	return true
}

// taint taints the loads of the id that are in flight.
func (o *overlaps) taint(id string) {
	if at := o.ids[id]; at != nil {
		at.taint()
	}
}

// taintAll is taint for every id.
func (o *overlaps) taintAll() {
	for _, at := range o.ids {
		at.taint()
	}
}

func (o *overlaps) enter(id string) *overlap {
	at := o.ids[id]
	if at == nil {
		at = &overlap{}
		o.ids[id] = at
	}
	at.calls++
	return at
}

func (o *overlaps) leave(id string, at *overlap) {
	if at.calls--; at.calls == 0 {
		delete(o.ids, id)
	}
}

func (at *overlap) taint() {
	at.tainted++
	at.claimed = false // those who claimed are tainted; loads to come are not
}
