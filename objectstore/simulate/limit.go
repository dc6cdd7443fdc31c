package simulate

import (
	"sync"
	"time"
)

// limit lets through so many requests a second.
type limit struct {
	each time.Duration // of a second, for one request; 0 means that none is refused

	mu   sync.Mutex
	next time.Time // when all that were let through have had their part of a second
}

// burst is how far next may be ahead. With none, two requests at the same moment would
// be one too many whatever the limit.
const burst = time.Second / 10

func newLimits(n, perSecond int) []limit {
	limits := make([]limit, n)
	if perSecond > 0 {
		for i := range limits {
			limits[i].each = time.Second / time.Duration(perSecond)
		}
	}
	return limits
}

// take says whether a request is let through that counts as n. It is if there is room
// for one, as S3 lets a batch delete through whose keys are more than a second's: the
// requests after it have to wait for all of them.
func (l *limit) take(n int) bool {
	if l.each == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.next.Before(now) {
		l.next = now
	}
	if l.next.Sub(now)+min(l.each, burst) > burst {
		return false
	}
	l.next = l.next.Add(time.Duration(n) * l.each)
	return true
}
