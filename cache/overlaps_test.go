package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/store"
)

// TestNothingIsRememberedOfCallsThatEnded checks that overlaps and flights hold an
// id only while calls on it are in flight, however these end.
func TestNothingIsRememberedOfCallsThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		single := NewSingleflight(unruly{})
		c, err := New(single, Options{NegativeTTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range uint64(16) {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(g, 0))
				for range 50 {
					callOnce(t, c, random)
				}
			})
		}
		wg.Wait()
		synctest.Wait() // flights that nobody waits for land, too
		for name, o := range map[string]*overlaps{"Cache": &c.overlaps, "Singleflight": &single.overlaps} {
			if n := len(o.ids); n > 0 {
				t.Errorf("the %s remembers %d ids of calls that ended", name, n)
			}
		}
		if n := len(single.flights); n > 0 {
			t.Errorf("%d flights may be joined although none is in flight", n)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A write can come while a fill copies the state.
func TestWriteBetweenClaimAndPut(t *testing.T) {
	c, err := New(unruly{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	load := c.beginLoad("order-1")
	if !c.claim(load) {
		t.Fatal("a load that nothing overlapped may not fill")
	}
	c.endWrite("order-1", c.beginWrite("order-1"))
	c.put(load, &entry{snap: store.Snapshot{PersistenceID: "order-1"}}, time.Minute, c.now())
	c.endLoad(load)
	if stats := c.Stats(); stats.Entries != 0 || stats.StaleFills != 1 {
		t.Errorf("Stats = %+v; want no entry and one fill refused", stats)
	}
}

// A load can come and go between the look-up of another and its beginning.
func TestPutReplacesWhatIsThere(t *testing.T) {
	c, err := New(unruly{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for nr := range uint64(3) {
		load := c.beginLoad("order-1")
		c.fill(load, store.Snapshot{PersistenceID: "order-1", SequenceNr: nr}, c.now())
		c.endLoad(load)
	}
	if stats := c.Stats(); stats.Entries != 1 || stats.Bytes != entrySize("order-1", 0) {
		t.Errorf("Stats = %+v; want the bytes of the one entry", stats)
	}
	if e := c.lookUp("order-1", aboveAll); e == nil || e.snap.SequenceNr != 2 {
		t.Errorf("the entry is %+v; want that of the last load", e)
	}
}

// An entry can be replaced after a look-up found it expired.
func TestExpiryLeavesANewerEntry(t *testing.T) {
	c, err := New(unruly{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill := func() *entry {
		load := c.beginLoad("order-1")
		defer c.endLoad(load)
		c.fill(load, store.Snapshot{PersistenceID: "order-1"}, c.now())
		return c.entries.find("order-1")
	}
	expired, newer := fill(), fill()
	c.expire("order-1", expired)
	if c.entries.find("order-1") != newer {
		t.Error("the newer entry is gone with the expired one")
	}
	c.expire("order-1", newer)
	if c.entries.find("order-1") != nil {
		t.Error("the expired entry is still there")
	}
}

// Of loads side by side one fills; a write between them makes room for another.
func TestClaimIsForOneUntilTainted(t *testing.T) {
	o := newOverlaps()
	oldest, first, second := o.beginLoad("order-1"), o.beginLoad("order-1"), o.beginLoad("order-1")
	if !o.claim(first) || o.claim(second) {
		t.Error("of two loads side by side not the first alone may fill")
	}
	o.endLoad(first)
	o.endLoad(second)
	o.endWrite("order-1", o.beginWrite("order-1"))
	next := o.beginLoad("order-1")
	if o.claim(oldest) || !o.claim(next) {
		t.Error("of a load from before a write and one from after it not the latter alone may fill")
	}
	o.endLoad(oldest)
	o.endLoad(next)
}

// callOnce makes one call in a goroutine of its own, which the inner store may end.
func callOnce(t *testing.T, s store.SnapshotStore, random *rand.Rand) {
	ctx, cancel := context.WithCancel(t.Context())
	id := fmt.Sprintf("order-%d", random.IntN(3))
	call := []func(){
		func() { _ = s.Save(ctx, store.Snapshot{PersistenceID: id}) },
		func() { _ = s.Delete(ctx, id, 1) },
		func() { _, _ = s.LoadLatest(ctx, id) },
		func() { _, _ = s.LoadBefore(ctx, id, 1) },
		func() { _ = store.ViewLatest(ctx, s, id, func(store.Snapshot) error { panic("view") }) },
	}[random.IntN(5)]
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = recover() }() // panics are what the inner store and the view are for
		call()
	}()
	yield(random.IntN(40))
	cancel()
	<-ended
}

// yield lets others run, n times. A timer would not do: that of a bubble, beside
// goroutines that end in Goexit, now and then crashes the race detector of Go 1.26.
func yield(n int) {
	for range n {
		runtime.Gosched()
	}
}

// unruly is a store whose calls end in every way there is.
type unruly struct{}

func (unruly) end(ctx context.Context) error {
	for range rand.IntN(10) {
		yield(1)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	switch rand.IntN(5) {
	case 0:
		panic("inner")
	case 1:
		runtime.Goexit()
	case 2:
		return errors.New("wire cut")
	case 3:
		return store.ErrNotFound
	}
	return nil
}

func (u unruly) Save(ctx context.Context, _ store.Snapshot) error { return u.end(ctx) }

func (u unruly) LoadLatest(ctx context.Context, id string) (store.Snapshot, error) {
	return store.Snapshot{PersistenceID: id, SequenceNr: 1}, u.end(ctx)
}

func (u unruly) LoadBefore(ctx context.Context, id string, _ uint64) (store.Snapshot, error) {
	return store.Snapshot{PersistenceID: id}, u.end(ctx)
}

func (u unruly) Delete(ctx context.Context, _ string, _ uint64) error { return u.end(ctx) }

func (unruly) Close() error { return nil }
