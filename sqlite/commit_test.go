package sqlite

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/snapstack/snapstack/store"
)

// TestLeadIsPassedOnByWhoLeaves gives the lead to a Save in the moment in which its
// context ends. Whichever it sees first, the lead must not be lost with it.
func TestLeadIsPassedOnByWhoLeaves(t *testing.T) {
	s, err := Open(t.Context(), ":memory:", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	q := &s.queue
	waiting := func() int {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.waiting)
	}
	for range 200 {
		q.mu.Lock()
		q.led = true // as if another call were at it
		q.mu.Unlock()
		ctx, cancel := context.WithCancel(t.Context())
		leaving, staying := make(chan error), make(chan error)
		go func() { leaving <- s.Save(ctx, store.Snapshot{PersistenceID: "leaves"}) }()
		for waiting() < 1 {
			runtime.Gosched()
		}
		go func() { staying <- s.Save(t.Context(), store.Snapshot{PersistenceID: "stays"}) }()
		for waiting() < 2 {
			runtime.Gosched()
		}
		q.mu.Lock()
		cancel()
		close(q.waiting[0].lead)
		q.mu.Unlock()
		if err := <-leaving; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := <-staying; err != nil { // hangs where the lead was lost
			t.Fatal(err)
		}
	}
}
