package cache

import "time"

const (
	// handSteps is how many steps a hand makes in the shortest time to live, and
	// minHandTTL the shortest for which there is a hand: with less the timer would be
	// busier than the hits.
	handSteps  = 64
	minHandTTL = time.Second
)

// A hand is a clock that costs nothing to look at: to read a real one takes as long as
// all else that a hit does. A timer moves the hand, as long as there are entries whose
// end it has not reached. It is never ahead of the time, and a step behind at most, but
// for what the scheduler delays a timer; so an entry ends a step before its time to live
// does.
type hand struct {
	step  time.Duration // 0 for no hand
	at    time.Duration // on the clock of the Cache, when the timer last moved it
	end   time.Duration // of the entry that ends last
	timer *time.Timer   // nil while the hand need not move
}

// handStep returns the step of a hand for these times to live, or 0 where it is no use.
func handStep(ttls ...time.Duration) time.Duration {
	shortest := never
	for _, ttl := range ttls {
		if ttl > 0 {
			shortest = min(shortest, ttl)
		}
	}
	if shortest == never || shortest < minHandTTL {
		return 0
	}
	return shortest / handSteps
}

// passed says whether the hand, if there is one, has reached the time.
func (h *hand) passed(at time.Duration) bool { return h.step > 0 && h.at >= at }

// watch has the hand move until it has reached the end of an entry. It needs the lock.
func (c *Cache) watch(end time.Duration) {
	h := &c.hand
	if h.step == 0 {
		return
	}
	h.end = max(h.end, end)
	if h.timer == nil {
		h.at = c.now()
		h.timer = time.AfterFunc(h.step, c.moveHand)
	}
}

// moveHand is called by the timer. When the hand has reached the end of all entries it
// stands still, and a Cache that nobody uses any more is no longer referred to.
func (c *Cache) moveHand() {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	h := &c.hand
	if h.timer == nil {
		return // stopped while the timer went off
	}
	h.at = c.now()
	if h.at >= h.end {
		h.timer = nil
		return
	}
	h.timer.Reset(h.step)
}

func (c *Cache) stopHand() {
	c.overlaps.mu.Lock()
	defer c.overlaps.mu.Unlock()
	if c.hand.timer != nil {
		c.hand.timer.Stop()
		c.hand.timer = nil
	}
}
