package compress

import (
	"fmt"
	"testing"
	"time"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// In an outage every Save that fails leaves a pin. Those that have ended go, also where
// their ids are never written again, and one that has ended holds nothing back.
func TestPinsEnd(t *testing.T) {
	hs := newHeads(1<<20, true)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for hour := range 50 {
		for i := range 1000 {
			hs.pin(fmt.Sprint(hour, "-", i), 7, now)
		}
		if len(hs.pins) > 3*1000 {
			t.Fatalf("after %d hours of a thousand pins each there are %d", hour+1, len(hs.pins))
		}
		now = now.Add(pinnedFor + time.Second)
	}
	hs.pin("order-1", 5, now)
	hs.pin("order-1", 9, now)
	if number, ok := hs.pinned("order-1", now.Add(pinnedFor)); !ok || number != 5 {
		t.Errorf("pinned is %d, %v; want the lesser, 5", number, ok)
	}
	now = now.Add(pinnedFor + time.Second)
	if number, ok := hs.pinned("order-1", now); ok {
		t.Errorf("pinned is %d after its time", number)
	}
	hs.pin("order-1", 9, now)
	if number, ok := hs.pinned("order-1", now); !ok || number != 9 {
		t.Errorf("pinned is %d, %v; want 9, the other one having ended", number, ok)
	}
}

// What a Delta remembers of snapshots counts against CacheBytes like bases do.
func TestHeadsCountWhatTheyRemember(t *testing.T) {
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const limit = 100_000
	d, err := NewDelta(inner, DeltaOptions{CacheBytes: limit})
	if err != nil {
		t.Fatal(err)
	}
	for of := range 30 {
		for nr := range uint64(900) {
			if err := d.Save(t.Context(), store.Snapshot{PersistenceID: fmt.Sprint("id-", of), SequenceNr: nr}); err != nil {
				t.Fatal(err)
			}
		}
	}
	remembered := 0
	for _, h := range d.heads.byID {
		remembered += len(h.refs)
	}
	if remembered == 0 || remembered*refBytes > limit {
		t.Errorf("the bases of %d snapshots are remembered; want some, in %d bytes", remembered, limit)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
