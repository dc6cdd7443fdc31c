package compress

import (
	"fmt"
	"testing"
	"time"
)

// In an outage every Save that fails leaves a pin. Those that have ended go, also where
// their ids are never written again, and one that has ended holds nothing back.
func TestPinsEnd(t *testing.T) {
	hs := newHeads(1 << 20)
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
