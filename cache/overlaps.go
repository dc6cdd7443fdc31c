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
// The same goes for a Save that began before A did, and for one that returned an
// error after it had taken effect.
type overlaps struct {
	mu  sync.Mutex
	ids map[string]*overlap
}

// An overlap is what is in flight on one id.
type overlap struct {
	calls  int    // loads and writes that refer to this
	writes int    // writes in flight
	begun  uint64 // writes that ever began
}

func newOverlaps() overlaps { return overlaps{ids: make(map[string]*overlap)} }

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

func (o *overlaps) beginWrite(id string) *overlap {
	at := o.enter(id)
	at.writes++
	at.begun++
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
	at    *overlap
	clean bool   // no write was in flight when it began
	begun uint64 // of at, then
}

func (o *overlaps) beginLoad(id string) loading {
	at := o.enter(id)
	return loading{at: at, clean: at.writes == 0, begun: at.begun}
}

// endLoad says whether no write overlapped the load.
func (o *overlaps) endLoad(id string, l loading) bool {
	o.leave(id, l.at)
	// A write that began and ended meanwhile has moved begun.
	return l.clean && l.at.begun == l.begun
}

// taint makes endLoad say no for every load of the id that is in flight.
func (o *overlaps) taint(id string) {
	if at := o.ids[id]; at != nil {
		at.begun++
	}
}

// taintAll is taint for every id.
func (o *overlaps) taintAll() {
	for _, at := range o.ids {
		at.begun++
	}
}
