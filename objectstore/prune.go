package objectstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxPrunes is how many prunes run at a time off their Saves' path.
	maxPrunes = 16

	// maxWaiting is how many ids may wait for theirs, each with a goroutine. Where saves
	// come faster than prunes are done, for long, it would be all of them.
	maxWaiting = 1024

	// pruneTimeout limits one of them, and with it how long a Close waits for a bucket
	// that does not answer.
	pruneTimeout = time.Minute
)

// prunes are the prunes to come of a store with PruneAsync.
type prunes struct {
	mu sync.Mutex

	// saved are the numbers saved of each id since its last prune began, in the order of
	// the Saves. An id in it has one goroutine that will see to it.
	saved   map[string][]uint64
	running sync.WaitGroup
	slots   *semaphore.Weighted // of maxPrunes
}

func newPrunes() *prunes {
	return &prunes{saved: make(map[string][]uint64), slots: semaphore.NewWeighted(maxPrunes)}
}

// add notes that the number was saved, and calls prune in a goroutine of its own unless
// one of the id is waiting to begin. It does neither, and returns false, where too many
// wait. The caller holds the turn of a Save of the id.
func (p *prunes) add(id string, sequenceNr uint64, prune func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	numbers, waiting := p.saved[id]
	if !waiting && len(p.saved) >= maxWaiting {
		return false
	}
	p.saved[id] = append(numbers, sequenceNr)
	if !waiting {
		p.running.Go(prune)
	}
	return true
}

// take returns the numbers that were saved of the id, and forgets them. The caller
// holds a turn that excludes Saves of the id.
func (p *prunes) take(id string) []uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	numbers := p.saved[id]
	delete(p.saved, id)
	return numbers
}

// pruneLater prunes the id as soon as the Save that holds its turn has returned, or
// returns false where too many ids wait for that.
func (s *Store) pruneLater(id string, sequenceNr uint64) bool {
	return s.prunes.add(id, sequenceNr, func() {
		// Not the context of a Save: that may end with it.
		ctx, cancel := context.WithTimeout(context.Background(), pruneTimeout)
		defer cancel()
		if failed, err := s.pruneSaved(ctx, id, sequenceNr); err != nil {
			s.reportPrune(id, failed, err)
		}
	})
}

// pruneSaved obeys Keep for all that was saved of the id since its last prune. On an
// error it returns the number that was saved for which it failed; first is one of them.
func (s *Store) pruneSaved(ctx context.Context, id string, first uint64) (failed uint64, err error) {
	if err := s.prunes.slots.Acquire(ctx, 1); err != nil {
		s.prunes.take(id) // the next Save tries again
		return first, err
	}
	defer s.prunes.slots.Release(1)
	_, done, err := s.turns.save(ctx, id) // a prune is a part of a Save
	if err != nil {
		s.prunes.take(id)
		return first, err
	}
	defer done()
	folder := s.folder(id)
	saved := s.prunes.take(id)
	for _, bound := range bounds(saved) {
		// What was saved after the bound is not for this prune to remove, as it was not
		// there at that Save: Save(9), Save(5) with a Keep of 1 leave both.
		later := make(map[string]bool)
		for _, nr := range saved[bound+1:] {
			later[folder+number(nr)] = true
		}
		if err := s.remove(ctx, folder, folder+number(saved[bound]), s.opts.Keep-1, later); err != nil {
			return saved[bound], err
		}
	}
	return 0, nil
}

// bounds returns the places in saved of the Saves to prune after, in their order. The
// others are followed by one at their number or above, whose prune removes all that
// theirs would: rising numbers, as they usually are, take one prune.
func bounds(saved []uint64) []int {
	var places []int
	for i, nr := range slices.Backward(saved) {
		if len(places) == 0 || nr > saved[places[len(places)-1]] {
			places = append(places, i)
		}
	}
	slices.Reverse(places)
	return places
}
