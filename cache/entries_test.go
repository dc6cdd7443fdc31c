package cache

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	lru "github.com/hashicorp/golang-lru/v2"
	"pgregory.net/rapid"

	"github.com/snapstack/snapstack/store"
)

func newTestEntries(t testing.TB, policy Policy, maxBytes int64) *entries {
	t.Helper()
	s, err := newEntries(policy, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newEntry(id string, state int) *entry {
	return &entry{snap: store.Snapshot{PersistenceID: id}, size: entrySize(id, state)}
}

// A trace is the ids of loads, one after the other.
type trace []uint64

// zipfTrace is a trace of n loads of ids that are drawn from a zipf distribution.
// Where scans is set, now and then ids that are in no order of heat are all loaded
// once, together as many as the others.
func zipfTrace(ids, n int, scans bool) trace {
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.01, 1, uint64(ids-1))
	var loads trace
	next := uint64(0)
	for len(loads) < n {
		loads = append(loads, zipf.Uint64())
		if scans && len(loads)%(ids/10) == 0 {
			for range ids / 10 {
				loads = append(loads, next%uint64(ids))
				next++
			}
		}
	}
	return loads
}

// hitRatio returns the share of the loads that are hits where a miss is added.
func (loads trace) hitRatio(get func(id string) bool, add func(id string)) float64 {
	hits := 0
	for _, load := range loads {
		id := fmt.Sprintf("order-%d", load)
		if get(id) {
			hits++
		} else {
			add(id)
		}
	}
	return float64(hits) / float64(len(loads))
}

func (loads trace) hitRatioOf(s *entries, state int) float64 {
	return loads.hitRatio(
		func(id string) bool { return s.get(id) != nil },
		func(id string) { s.add(newEntry(id, state)) })
}

// TestHitRatio compares what the policies make of the same room with what
// golang-lru's 2Q does. Its room is counted in entries and its ghosts for nothing.
func TestHitRatio(t *testing.T) {
	const ids, state = 20_000, 2048
	for _, scans := range []bool{false, true} {
		loads := zipfTrace(ids, 20*ids, scans)
		for _, room := range []int{ids / 100, ids / 20, ids / 5} {
			t.Run(fmt.Sprintf("scans=%v/room=%d%%", scans, 100*room/ids), func(t *testing.T) {
				twoQueue, err := lru.New2Q[string, struct{}](room)
				if err != nil {
					t.Fatal(err)
				}
				want := loads.hitRatio(
					func(id string) bool { _, ok := twoQueue.Get(id); return ok },
					func(id string) { twoQueue.Add(id, struct{}{}) })
				budget := int64(room) * entrySize("order-10000", state)
				got := loads.hitRatioOf(newTestEntries(t, S3FIFO, budget), state)
				plain := loads.hitRatioOf(newTestEntries(t, LRU, budget), state)
				t.Logf("S3FIFO %.3f, LRU %.3f, 2Q of golang-lru %.3f", got, plain, want)
				if got < want || got < plain {
					t.Error("S3FIFO has fewer hits than another")
				}
			})
		}
	}
}

// The restart of a cluster loads every id once.
func TestAScanDoesNotFlushWhatIsHot(t *testing.T) {
	const hot, room = 50, 100
	for _, policy := range policies {
		s := newTestEntries(t, policy, room*entrySize("order-100", 100))
		for i := range 3 * hot {
			if id := fmt.Sprintf("order-%d", i%hot); s.get(id) == nil {
				s.add(newEntry(id, 100))
			}
		}
		for i := range 10 * room {
			s.add(newEntry(fmt.Sprintf("scan-%d", i), 100))
		}
		stayed := 0
		for i := range hot {
			if s.find(fmt.Sprintf("order-%d", i)) != nil {
				stayed++
			}
		}
		if want := map[Policy]int{S3FIFO: hot, LRU: 0}[policy]; stayed != want {
			t.Errorf("%s: of %d hot entries %d are there after a scan; want %d", policy, hot, stayed, want)
		}
	}
}

// fullOfHot returns entries with room for 100 of which 90 have gone on to main.
func fullOfHot(t *testing.T) *entries {
	s := newTestEntries(t, S3FIFO, 100*(entrySize("order-1", 1000)+ghostOverhead))
	for i := range 90 {
		id := fmt.Sprintf("hot-%d", i)
		s.add(newEntry(id, 1000))
		s.get(id)
	}
	scan(s, 200)
	return s
}

func scan(s *entries, n int) {
	for range n {
		s.add(newEntry(fmt.Sprintf("%d", rand.Uint32()), 1000))
	}
}

// An id that is saved again and again stays hot, though each Save drops its entry.
func TestAHotIDStaysHotAcrossItsWrites(t *testing.T) {
	s := fullOfHot(t)
	s.drop("hot-1")
	s.add(newEntry("hot-1", 1000))
	scan(s, 30)
	if s.find("hot-1") == nil {
		t.Error("it is gone")
	}
}

// What is loaded a second time, not long after the first, is not one of a scan.
func TestWhatComesBackStays(t *testing.T) {
	s := fullOfHot(t)
	for i, want := range []bool{false, true} {
		s.add(newEntry("order-1", 1000))
		scan(s, 30)
		if got := s.find("order-1") != nil; got != want {
			t.Errorf("after load %d and a scan it is there: %v; want %v", i+1, got, want)
		}
	}
}

// However hot all of them are, an eviction looks at so many entries and no more.
func TestEvictionEndsWhereAllAreInUse(t *testing.T) {
	const n = 3 * maxPassedOver
	s := newTestEntries(t, S3FIFO, n*entrySize("0000", 0))
	for i := range n {
		id := fmt.Sprintf("%04d", i)
		s.main.add(newEntry(id, 0))
		for range maxUses {
			s.get(id)
		}
	}
	s.evict()
	if s.len() != n-1 || s.find(fmt.Sprintf("%04d", maxPassedOver)) != nil {
		t.Errorf("%d entries are left, that at place %d among them; want it evicted, and it alone", s.len(), maxPassedOver)
	}
}

// TestEntriesAgainstAModel checks after each of many random steps what must hold
// whatever is evicted, and with LRU what is.
func TestEntriesAgainstAModel(t *testing.T) {
	for _, policy := range policies {
		t.Run(string(policy), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				const maxBytes = 5000
				s, err := newEntries(policy, maxBytes)
				if err != nil {
					t.Fatal(err)
				}
				added := map[string]*entry{} // that no step since has removed
				var order []string           // of use, the last one first
				id := rapid.StringMatching("[a-i]")
				forget := func(id string) {
					delete(added, id)
					order = slices.DeleteFunc(order, func(other string) bool { return other == id })
				}
				t.Repeat(map[string]func(*rapid.T){
					"add": func(t *rapid.T) {
						id := id.Draw(t, "id")
						e := newEntry(id, rapid.SampledFrom([]int{0, 100, 1000, maxBytes - entryOverhead - 1}).Draw(t, "state"))
						s.add(e)
						forget(id)
						added[id], order = e, append([]string{id}, order...)
						if s.find(id) != e {
							t.Fatal("it is not there")
						}
					},
					"get": func(t *rapid.T) {
						id := id.Draw(t, "id")
						if e := s.get(id); e != nil {
							forget(id)
							added[id], order = e, append([]string{id}, order...)
						}
					},
					"drop": func(t *rapid.T) {
						id := id.Draw(t, "id")
						s.drop(id)
						forget(id)
						if s.find(id) != nil {
							t.Fatal("it is still there")
						}
					},
					"purge": func(*rapid.T) {
						s.purge()
						clear(added)
						order = nil
					},
					"": func(t *rapid.T) {
						var bytes int64
						n := 0
						for id := range added {
							e := s.find(id)
							if e == nil {
								continue // evicted
							}
							if e != added[id] {
								t.Fatalf("%q has another entry than the last one added", id)
							}
							bytes += e.size
							n++
						}
						if n != s.len() || bytes+int64(s.ghosts.Len())*ghostOverhead != s.bytes() || s.bytes() > maxBytes || s.ghosts.Len() > n {
							t.Fatalf("%d entries and %d ghosts of %d bytes; found are %d of %d", s.len(), s.ghosts.Len(), s.bytes(), n, bytes)
						}
						if policy == LRU {
							for i, id := range order {
								if (s.find(id) != nil) != (i < n) {
									t.Fatalf("of %q, the last used first, not the first %d are there", order, n)
								}
							}
						}
					},
				})
			})
		})
	}
}
