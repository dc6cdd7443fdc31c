package cache

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/store"
)

// instant is a store that has every snapshot, and nothing of "absent".
type instant struct{ store.SnapshotStore }

func (instant) LoadLatest(_ context.Context, id string) (store.Snapshot, error) {
	if id == "absent" {
		return store.Snapshot{}, store.ErrNotFound
	}
	return store.Snapshot{PersistenceID: id, SequenceNr: 1}, nil
}

func (instant) Close() error { return nil }

func newInstant(t *testing.T, opts Options) *Cache {
	t.Helper()
	opts.Rand = func() float64 { return 0 }
	c, err := New(instant{}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// loadHits loads the id and says whether that was a hit.
func loadHits(t *testing.T, c *Cache, id string) bool {
	t.Helper()
	before := c.Stats()
	if _, err := c.LoadLatest(t.Context(), id); err != nil && id != "absent" {
		t.Fatal(err)
	}
	after := c.Stats()
	return after.Hits+after.NegativeHits > before.Hits+before.NegativeHits
}

// Whenever an entry begins between two steps of the hand, it is never served for longer
// than its time to live, and for no more than two steps less.
func TestEntriesEndWithTheHand(t *testing.T) {
	for name, opts := range map[string]Options{
		"TTL":         {TTL: time.Minute},
		"NegativeTTL": {TTL: -1, NegativeTTL: time.Minute},
		"short":       {TTL: 500 * time.Millisecond},
		"both":        {TTL: time.Hour, NegativeTTL: time.Minute},
	} {
		id, ttl := "order-1", opts.TTL
		if opts.NegativeTTL > 0 {
			id, ttl = "absent", opts.NegativeTTL
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newInstant(t, opts)
				for i := range 50 {
					// Others keep the hand in motion; now and then it stands still.
					loadHits(t, c, fmt.Sprint("other-", i))
					time.Sleep(time.Duration(i) * ttl / 777)
					if loadHits(t, c, id) {
						t.Fatalf("round %d begins with a hit", i)
					}
					time.Sleep(ttl - 2*ttl/handSteps - 1)
					if !loadHits(t, c, id) {
						t.Errorf("round %d: gone two steps before its end", i)
					}
					time.Sleep(2*ttl/handSteps + 1)
					if loadHits(t, c, id) {
						t.Errorf("round %d: served after its time to live", i)
					}
					c.Invalidate(id)
					if i%10 == 9 {
						time.Sleep(2 * ttl)
					}
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// late is a store whose loads take so long that little is left of the time to live.
type late struct {
	instant
	takes time.Duration
}

func (l late) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	time.Sleep(l.takes)
	return l.instant.LoadLatest(ctx, id)
}

// A hand that stood still knows nothing of the time that a load took.
func TestTheHandIsSetWhenItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(late{takes: time.Minute - time.Second/2}, Options{TTL: time.Minute, Rand: func() float64 { return 0 }})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			loadHits(t, c, "order-1")
			time.Sleep(time.Second/2 + 1)
			if loadHits(t, c, "order-1") {
				t.Error("served after its time to live")
			}
			time.Sleep(time.Hour)
			c.Invalidate("order-1")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// The hand moves only as long as there is an entry that can end.
func TestTheHandStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newInstant(t, Options{TTL: time.Minute})
		moves := func() bool {
			c.overlaps.mu.Lock()
			defer c.overlaps.mu.Unlock()
			return c.hand.timer != nil
		}
		for range 3 {
			if moves() {
				t.Error("the hand moves without an entry")
			}
			loadHits(t, c, "order-1")
			if !moves() {
				t.Error("the hand stands still with an entry")
			}
			time.Sleep(time.Minute + time.Second)
			synctest.Wait()
		}
		loadHits(t, c, "order-1")
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if moves() {
			t.Error("the hand moves after Close")
		}

		forever := newInstant(t, Options{TTL: -1})
		loadHits(t, forever, "order-1")
		time.Sleep(1000 * time.Hour)
		if forever.hand.timer != nil || !loadHits(t, forever, "order-1") {
			t.Error("entries that do not expire need a hand, or expire")
		}
	})
}

func TestHandStep(t *testing.T) {
	for _, c := range []struct{ ttl, negative, want time.Duration }{
		{time.Minute, 0, time.Minute / 64},
		{time.Minute, time.Second, time.Second / 64},
		{-1, time.Minute, time.Minute / 64},
		{-1, 0, 0},
		{time.Minute, 999 * time.Millisecond, 0},
		{time.Second - 1, 0, 0},
	} {
		if got := handStep(c.ttl, c.negative); got != c.want {
			t.Errorf("handStep(%v, %v) = %v; want %v", c.ttl, c.negative, got, c.want)
		}
	}
}
