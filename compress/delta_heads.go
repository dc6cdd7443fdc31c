package compress

import (
	"container/list"
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// A base is a state that differences are from. It is not changed any more, so that it
// can be read without a lock.
type base struct {
	name    baseName
	content []byte

	indexOnce sync.Once
	index     *blockIndex
}

// blocks returns the index of the content, which is made when it is first needed.
func (b *base) blocks() *blockIndex {
	b.indexOnce.Do(func() { b.index = newBlockIndex(b.content) })
	return b.index
}

// baseBytes is about what a base of a state of that size holds, with its index.
func baseBytes(size int) int64 { return int64(size) * 4 / 3 }

// A head is what a Delta remembers of an id: its bases, and what it needs for writing.
type head struct {
	id string

	// turn is held by whoever writes the id or removes bases of it: one at a time.
	turn chan struct{}

	// writing is the base that the next difference is from; nil where the next one
	// starts a new one. It is set by who has the turn only, and to a base that this
	// Delta wrote, or found to be there, while it had the turn: one of its own, which
	// nobody else removes.
	writing atomic.Pointer[base]

	// reading is the base that a load met last. It may have been removed since, which
	// makes no difference to who reads, and would to who writes.
	reading atomic.Pointer[base]

	// notes is what refs and bases take in bytes, as of the last turn.
	notes atomic.Int64

	// The rest belongs to who has the turn.

	// former is the base that differences were from when the head of the id went to make
	// room, to be loaded when the id is written again; none where its number is 0. It is one
	// of ours, and forgotten when it is removed.
	former former

	known       bool // whether a base was looked for that there may be already
	refused     bool // whether the store beneath takes no bases of the id
	differences int  // from writing
	misses      int  // bases in a row from which no difference was small
	skip        int  // saves to come that make no base

	// bases are the numbers of our bases of the id that may be there, oldest first, if
	// basesKnown.
	bases      []uint64
	basesKnown bool

	// freed says that a snapshot which needed a base is no more, or was saved again and
	// needs another, so that there may be a base to remove.
	freed bool

	// refs has, of snapshots that we saved or read, the numbers of the bases of ours that
	// they need, 0 for none. Another process may have deleted or replaced them: then they
	// need none of ours.
	refs map[uint64]uint64

	// The rest is guarded by heads.mu.

	users int           // that have or wait for the turn, or read
	size  int64         // as counted
	place *list.Element // in heads.idle; nil while there are users
}

// find returns the base of that name, if it is at hand.
func (h *head) find(name baseName) *base {
	for _, b := range []*base{h.writing.Load(), h.reading.Load()} {
		if b != nil && b.name == name {
			return b
		}
	}
	return nil
}

// take waits for the turn, which give gives back.
func (h *head) take(ctx context.Context) error {
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *head) give() {
	h.notes.Store(int64(len(h.refs)*refBytes + len(h.bases)*8))
	<-h.turn
}

// What a head takes besides its bases, about.
const (
	headBytes = 512
	refBytes  = 40 // for each of refs
)

// A former is what is remembered of a head that went: little, so that where ids take turns
// for which there is no room together, a Save loads its base and does not write a new one.
type former struct {
	base        baseName
	differences int // from it
}

// formerBytes is so many bytes of room for bases as there are for each former: they take a
// twentieth of it, about.
const formerBytes = 4 << 10

// heads are those at hand, within a bound in bytes: whoever was not used for longest
// goes first.
type heads struct {
	maxBytes int64
	fresh    bool // whether an id without a head has no bases of ours

	mu      sync.Mutex
	byID    map[string]*head
	idle    list.List // of *head without users, the one used last in front
	bytes   int64     // of all
	formers map[string]former
	pins    map[string]pin
	clearAt int // number of pins at which those that have ended are cleared away
}

func newHeads(maxBytes int64, fresh bool) *heads {
	return &heads{maxBytes: maxBytes, fresh: fresh, byID: make(map[string]*head), formers: make(map[string]former), pins: make(map[string]pin)}
}

// use returns the head of an id, to be released when it is used no more. It is the
// same for all who use it at a time.
func (hs *heads) use(id string) *head {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.byID[id]
	if h == nil {
		h = &head{id: id, turn: make(chan struct{}, 1), basesKnown: hs.fresh, former: hs.formers[id]}
		delete(hs.formers, id)
		hs.byID[id] = h
	}
	if h.place != nil {
		hs.idle.Remove(h.place)
		h.place = nil
	}
	h.users++
	return h
}

func (hs *heads) release(h *head) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	size := int64(headBytes+len(h.id)) + h.notes.Load()
	writing, reading := h.writing.Load(), h.reading.Load()
	if writing != nil {
		size += baseBytes(len(writing.content))
	}
	if reading != nil && reading != writing {
		size += baseBytes(len(reading.content))
	}
	hs.bytes += size - h.size
	h.size = size
	h.users--
	if h.users == 0 {
		h.place = hs.idle.PushFront(h)
	}
	for hs.bytes > hs.maxBytes && hs.idle.Len() > 0 {
		oldest := hs.idle.Remove(hs.idle.Back()).(*head)
		delete(hs.byID, oldest.id)
		hs.fresh = false
		hs.bytes -= oldest.size
		hs.remember(oldest)
	}
}

// remember keeps what is kept of a head that goes.
func (hs *heads) remember(h *head) {
	f := h.former // where it was not written since
	if b := h.writing.Load(); b != nil {
		f = former{b.name, h.differences}
	}
	if f.base.number == 0 {
		return
	}
	if len(hs.formers) >= max(64, int(hs.maxBytes/formerBytes)) {
		for id := range hs.formers { // any one: a Save of it will begin with a base
			delete(hs.formers, id)
			break
		}
	}
	hs.formers[h.id] = f
}

// A pin keeps a base, and those after it, from being removed: a save that refers to it
// failed with an outcome that is unknown, and may come to be stored yet.
type pin struct {
	number uint64 // of the base
	until  time.Time
}

// pinnedFor is how long a base is kept for a save of unknown outcome. No request to a
// database or an object store is in flight for that long.
const pinnedFor = time.Hour

// pin keeps the base of that number of an id for a while.
func (hs *heads) pin(id string, number uint64, now time.Time) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if len(hs.pins) >= hs.clearAt {
		maps.DeleteFunc(hs.pins, func(_ string, p pin) bool { return now.After(p.until) })
		hs.clearAt = max(64, 2*len(hs.pins)) // not at every one: in an outage there are many
	}
	if p, ok := hs.pins[id]; ok && !now.After(p.until) {
		number = min(number, p.number)
	}
	hs.pins[id] = pin{number: number, until: now.Add(pinnedFor)}
}

// pinned returns the least number of a base of an id that is pinned, or false where
// none is.
func (hs *heads) pinned(id string, now time.Time) (number uint64, ok bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	p, ok := hs.pins[id]
	return p.number, ok && !now.After(p.until)
}
