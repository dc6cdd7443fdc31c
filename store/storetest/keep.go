package storetest

import (
	"fmt"
	"testing"

	"github.com/snapstack/snapstack/store"
)

func keepIsPerID(t *testing.T, open Open) {
	s := openStore(t, open, Config{Keep: 2})
	for nr := uint64(1); nr <= 6; nr++ {
		for _, id := range []string{"order-1", "order-2", "order-1/2"} {
			mustSave(t, s, id, nr*10, fmt.Sprint(nr))
		}
		wantLatest(t, s, "order-1", nr*10, fmt.Sprint(nr))
	}
	mustSave(t, s, "order-3", 1, "one")
	wantNumbers(t, s, "order-1", 60, 50)
	wantNumbers(t, s, "order-2", 60, 50)
	wantNumbers(t, s, "order-1/2", 60, 50)
	wantNumbers(t, s, "order-3", 1)
}

func keepOutOfOrder(t *testing.T, open Open) {
	s := openStore(t, open, Config{Keep: 2})
	mustSave(t, s, "order-1", 100, "100")
	mustSave(t, s, "order-1", 90, "90")
	mustSave(t, s, "order-1", 80, "80") // its own save never prunes it, nor what is above
	wantNumbers(t, s, "order-1", 100, 90, 80)
	mustSave(t, s, "order-1", 70, "70")
	mustSave(t, s, "order-1", 60, "60")
	wantNumbers(t, s, "order-1", 100, 90, 80, 70, 60)
	mustSave(t, s, "order-1", 85, "85") // at or below 85: 85 and 80 remain
	wantNumbers(t, s, "order-1", 100, 90, 85, 80)
	mustSave(t, s, "order-1", 0, "0")
	wantNumbers(t, s, "order-1", 100, 90, 85, 80, 0)
	mustSave(t, s, "order-1", 110, "110")
	wantNumbers(t, s, "order-1", 110, 100)
	wantLatest(t, s, "order-1", 110, "110")

	one := openStore(t, open, Config{Keep: 1})
	mustSave(t, one, "order-1", 0, "0")
	wantNumbers(t, one, "order-1", 0)
	mustSave(t, one, "order-1", 5, "5")
	wantNumbers(t, one, "order-1", 5)
	mustSave(t, one, "order-1", 3, "3")
	wantNumbers(t, one, "order-1", 5, 3)
	wantLatest(t, one, "order-1", 5, "5")
}

func keepCountsARepeatedSaveOnce(t *testing.T, open Open) {
	s := openStore(t, open, Config{Keep: 3})
	for nr := uint64(1); nr <= 3; nr++ {
		mustSave(t, s, "order-1", nr, fmt.Sprint(nr))
	}
	for i := range 5 {
		mustSave(t, s, "order-1", 3, fmt.Sprint("again ", i))
		mustSave(t, s, "order-1", 2, fmt.Sprint("again ", i))
	}
	wantNumbers(t, s, "order-1", 3, 2, 1)
	wantLatest(t, s, "order-1", 3, "again 4")
	wantBefore(t, s, "order-1", 3, 2, "again 4")
	mustSave(t, s, "order-1", 4, "4")
	wantNumbers(t, s, "order-1", 4, 3, 2)
}

// RunFailingPrune checks that pruning never fails a Save, that its error is
// reported, and that the next Save tries again. The store that open returns keeps
// keep snapshots of an id and reports to onPruneError; its prunes must fail
// exactly between setFailing(true) and setFailing(false).
func RunFailingPrune(t *testing.T, open func(t *testing.T, keep int, onPruneError func(error)) (s store.SnapshotStore, setFailing func(bool))) {
	var reported []error // saves are sequential here, and a report belongs to one
	s, setFailing := open(t, 2, func(err error) { reported = append(reported, err) })
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	for nr := uint64(1); nr <= 3; nr++ {
		mustSave(t, s, "order-1", nr, fmt.Sprint(nr))
	}
	wantNumbers(t, s, "order-1", 3, 2)
	if len(reported) != 0 {
		t.Fatalf("prunes that worked were reported as failed: %v", reported)
	}

	setFailing(true)
	for nr := uint64(4); nr <= 6; nr++ {
		mustSave(t, s, "order-1", nr, fmt.Sprint(nr))
		wantLatest(t, s, "order-1", nr, fmt.Sprint(nr))
		if n := int(nr) - 3; len(reported) != n || reported[n-1] == nil {
			t.Fatalf("after %d failing prunes OnPruneError got %v; want %d errors", n, reported, n)
		}
		wantError(t, "prune", reported[len(reported)-1], reported[len(reported)-1])
	}
	wantNumbers(t, s, "order-1", 6, 5, 4, 3, 2)

	setFailing(false)
	mustSave(t, s, "order-1", 7, "7")
	wantNumbers(t, s, "order-1", 7, 6)
	if len(reported) != 3 {
		t.Errorf("OnPruneError got %v; want 3 errors", reported)
	}
}
