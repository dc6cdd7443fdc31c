package cache

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/snapstack/snapstack/store"
)

// Policy says which entries make room for others.
type Policy string

const (
	// S3FIFO keeps what is asked for again, and lets what is asked for once pass
	// through a tenth of the room: a scan of all ids, such as the restart of a
	// cluster, does not flush the hot ones. It is the algorithm of "FIFO queues are
	// all you need for cache eviction" (Yang et al., SOSP 2023,
	// https://doi.org/10.1145/3600006.3613147), with bytes for numbers of entries.
	S3FIFO Policy = "s3fifo"

	// LRU evicts what has not been asked for the longest.
	LRU Policy = "lru"
)

var policies = []Policy{S3FIFO, LRU}

// ParsePolicy returns the policy of that name, in any case of letters, or ErrInvalid.
func ParsePolicy(name string) (Policy, error) {
	policy := Policy(strings.ToLower(name))
	if !slices.Contains(policies, policy) {
		return "", fmt.Errorf("cache: %w Policy %q; allowed are %q", store.ErrInvalid, name, policies)
	}
	return policy, nil
}

const (
	// entryOverhead is what an entry takes at most beside its id and state, in bytes:
	// its struct, its element of the list and its share of the map. Some 250 were
	// measured; how full the map is makes the difference.
	entryOverhead = 320

	// ghostOverhead is what a ghost takes at most, likewise.
	ghostOverhead = 112

	// maxUses is how often an entry may be passed over by evictions at most.
	maxUses = 3

	// maxPassedOver bounds what one eviction does under the lock, where all entries are
	// in use: each passed over costs some 50 ns.
	maxPassedOver = 1000
)

// entries holds the entries of a Cache within its budget of bytes, and chooses
// those that make room. It is not safe for concurrent use.
//
// With S3FIFO an entry begins in the queue probation. When it comes to the end of
// that it goes on to main if it has been used meanwhile, or else becomes a ghost: of
// its id a hash is remembered, and when it is loaded again it begins in main. At the
// end of main an entry goes back to the beginning as often as it has been used, up to
// maxUses times. So a hit has but to count. With LRU there is main alone, and a hit
// moves the entry to its beginning.
type entries struct {
	policy   Policy
	maxBytes int64

	probation, main queue

	ghosts *simplelru.LRU[uint64, struct{}]
	seed   maphash.Seed

	evictions int64
}

// A queue is a list of entries, and what they take.
type queue struct {
	list  *simplelru.LRU[string, *entry]
	bytes int64
}

// An entry never changes once it is in the cache, but for its uses, so the rest may be
// read without the lock.
type entry struct {
	snap    store.Snapshot // in memory that nothing else refers to
	absent  bool           // the id has no snapshot
	expires time.Duration  // on the clock of the Cache
	size    int64
	uses    int // less how often it was passed over since; at most maxUses
}

func newEntries(policy Policy, maxBytes int64) (*entries, error) {
	s := &entries{policy: policy, maxBytes: maxBytes, seed: maphash.MakeSeed()}
	for _, q := range []*queue{&s.probation, &s.main} {
		list, err := simplelru.NewLRU[string, *entry](math.MaxInt, nil) // bounded in bytes, by add
		if err != nil {
			return nil, err
		}
		q.list = list
	}
	ghosts, err := simplelru.NewLRU[uint64, struct{}](math.MaxInt, nil) // bounded by remember
	s.ghosts = ghosts
	return s, err
}

// get returns the entry of the id, which it notes as used, or nil.
func (s *entries) get(id string) *entry {
	if s.policy == LRU {
		e, _ := s.main.list.Get(id)
		return e
	}
	// As find does. What can be spared counts here: until there is no more room for all,
	// main is empty.
	var e *entry
	if s.main.bytes > 0 {
		e, _ = s.main.list.Peek(id)
	}
	if e == nil {
		e, _ = s.probation.list.Peek(id)
	}
	if e != nil && e.uses < maxUses {
		e.uses++
	}
	return e
}

// find returns the entry of the id, or nil.
func (s *entries) find(id string) *entry {
	if e, ok := s.main.list.Peek(id); ok {
		return e
	}
	e, _ := s.probation.list.Peek(id)
	return e
}

// add puts e, which is not larger than the budget, in the place of what the id has,
// and evicts what it takes the room of.
func (s *entries) add(e *entry) {
	id := e.snap.PersistenceID
	known := s.remove(id)
	known = s.ghosts.Remove(s.hash(id)) || known
	for s.bytes()+e.size > s.maxBytes {
		s.evict()
	}
	if known || s.policy == LRU {
		s.main.add(e)
	} else {
		s.probation.add(e)
	}
}

// drop removes the entry of the id, if there is one. That a write or the time ended
// it says nothing about how hot it is: one that was in use begins in main when it is
// loaded again.
func (s *entries) drop(id string) {
	if s.remove(id) {
		s.remember(id)
	}
	s.limitGhosts()
}

func (s *entries) purge() {
	for _, q := range []*queue{&s.probation, &s.main} {
		q.list.Purge()
		q.bytes = 0
	}
	s.ghosts.Purge()
}

func (s *entries) len() int { return s.probation.list.Len() + s.main.list.Len() }

// bytes returns what the entries and the ghosts take.
func (s *entries) bytes() int64 {
	return s.probation.bytes + s.main.bytes + int64(s.ghosts.Len())*ghostOverhead
}

// remove removes the entry of the id, and says whether it was one that belongs in
// main.
func (s *entries) remove(id string) (hot bool) {
	if e, ok := s.main.list.Peek(id); ok {
		s.main.remove(e)
		return true
	}
	if e, ok := s.probation.list.Peek(id); ok {
		s.probation.remove(e)
		return e.uses > 0
	}
	return false
}

// evict moves a step towards more room: it evicts an entry, or lets it go on from
// probation to main. There must be one.
func (s *entries) evict() {
	if s.main.list.Len() == 0 || s.probation.bytes > s.maxBytes/10 {
		s.evictFromProbation()
	} else {
		s.evictFromMain()
	}
	s.limitGhosts()
}

func (s *entries) evictFromProbation() {
	id, e, _ := s.probation.list.GetOldest()
	s.probation.remove(e)
	if e.uses > 0 {
		e.uses = 0
		s.main.add(e)
		return
	}
	s.evictions++
	s.remember(id)
}

func (s *entries) evictFromMain() {
	_, e, _ := s.main.list.GetOldest()
	for n := 0; n < maxPassedOver && e.uses > 0; n++ {
		e.uses--
		s.main.list.Get(e.snap.PersistenceID) // back to the beginning
		_, e, _ = s.main.list.GetOldest()
	}
	s.evictions++
	s.main.remove(e)
}

// remember makes a ghost of the id.
func (s *entries) remember(id string) {
	if s.policy == S3FIFO {
		s.ghosts.Add(s.hash(id), struct{}{})
	}
}

// limitGhosts keeps the ghosts from being more than the entries.
func (s *entries) limitGhosts() {
	for s.ghosts.Len() > s.len() {
		s.ghosts.RemoveOldest()
	}
}

// hash stands for an id among the ghosts. Where two share one, the worst is that an
// entry begins in main that has not earned it.
func (s *entries) hash(id string) uint64 { return maphash.String(s.seed, id) }

func (q *queue) add(e *entry) {
	q.list.Add(e.snap.PersistenceID, e)
	q.bytes += e.size
}

func (q *queue) remove(e *entry) {
	q.list.Remove(e.snap.PersistenceID)
	q.bytes -= e.size
}

// entrySize returns what an entry takes, in bytes.
func entrySize(id string, state int) int64 { return int64(len(id)+state) + entryOverhead }
