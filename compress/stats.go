package compress

import "sync/atomic"

// Stats is what a Store has done since it was made.
type Stats struct {
	Saves       int64
	Raw         int64 // of these, states that were not made smaller: small ones, or bytes that do not shrink
	StateBytes  int64 // in the states saved
	StoredBytes int64 // given to the inner store for them

	// Plain is how many loads gave back states as they were stored: from before the wrapper,
	// or of other programs.
	Plain int64
}

type counters struct {
	saves, raw, stateBytes, storedBytes, plain atomic.Int64
}

// saved counts a Save that succeeded.
func (c *counters) saved(state, stored int) {
	c.saves.Add(1)
	if stored >= state {
		c.raw.Add(1)
	}
	c.stateBytes.Add(int64(state))
	c.storedBytes.Add(int64(stored))
}

// Stats returns what the Store has done. It may be called concurrently, and counts one
// after the other.
func (s *Store) Stats() Stats {
	return Stats{
		Saves:       s.counters.saves.Load(),
		Raw:         s.counters.raw.Load(),
		StateBytes:  s.counters.stateBytes.Load(),
		StoredBytes: s.counters.storedBytes.Load(),
		Plain:       s.counters.plain.Load(),
	}
}
