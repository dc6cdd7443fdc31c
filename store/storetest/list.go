package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/snapstack/snapstack/store"
)

// openLister opens a store that can list, or skips the clause: List is optional.
func openLister(t *testing.T, open Open) store.SnapshotStore {
	t.Helper()
	s := openStore(t, open, Config{})
	if !canList(t, s) {
		t.Skip("no layer is a store.Lister")
	}
	return s
}

func listNewestFirst(t *testing.T, open Open) {
	s := openLister(t, open)
	for _, nr := range []uint64{5, 900, 30, 0, 1, 255} {
		mustSave(t, s, "order-1", nr, fmt.Sprint(nr))
	}
	mustSave(t, s, "order-2", 6, "")
	mustSave(t, s, "order-1", 30, "again")
	var got []uint64
	for info, err := range store.List(t.Context(), s, "order-1") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if info.PersistenceID != "order-1" || info.StoredBytes < 0 {
			t.Errorf("List of order-1 yielded %+v", info)
		}
		got = append(got, info.SequenceNr)
	}
	if want := []uint64{900, 255, 30, 5, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("List yielded the numbers %v; want %v", got, want)
	}
	for info, err := range store.List(t.Context(), s, "order-3") {
		t.Errorf("List of an unknown id yielded %+v, %v; want nothing", info, err)
	}
}

func listEveryID(t *testing.T, open Open) {
	s := openLister(t, open)
	wantListed(t, s, "")
	var want []string
	for i := range 300 { // more than one page of any backend's reads is in the backends' own tests
		id := fmt.Sprintf("order-%d", i)
		mustSave(t, s, id, 3, "three")
		mustSave(t, s, id, 12, "twelve")
		want = append(want, id, id)
	}
	wantListed(t, s, "", want...)
	mustDelete(t, s, "order-17", 3)
	mustDelete(t, s, "order-18", 12)
	want = slices.DeleteFunc(want, func(id string) bool { return id == "order-18" || id == "order-17" })
	wantListed(t, s, "", append(want, "order-17")...)
}

func listLoopMayCallTheStore(t *testing.T, open Open) {
	s := openLister(t, open)
	for i := range 20 {
		mustSave(t, s, fmt.Sprintf("order-%d", i), 3, "three")
	}
	seen := 0
	for info, err := range store.List(t.Context(), s, "") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		seen++
		wantLatest(t, s, info.PersistenceID, 3, "three")
		mustSave(t, s, info.PersistenceID, 2, "two") // older: already passed
		mustDelete(t, s, info.PersistenceID, 3)
		for inner, err := range store.List(t.Context(), s, "") {
			if err != nil {
				t.Fatalf("List within List: %v", err)
			}
			if inner.PersistenceID == info.PersistenceID {
				t.Fatalf("List within List yielded %+v, which is deleted", inner)
			}
		}
	}
	if seen != 20 {
		t.Errorf("List yielded %d snapshots while its loop deleted the one at hand; want 20", seen)
	}
	wantListed(t, s, "")

	// A loop that stops early holds nothing up.
	mustSave(t, s, "order-1", 3, "three")
	mustSave(t, s, "order-2", 3, "three")
	for range store.List(t.Context(), s, "") {
		break
	}
	mustSave(t, s, "order-1", 4, "four")
	wantLatest(t, s, "order-1", 4, "four")
}

func listEndsWithItsContext(t *testing.T, open Open) {
	s := openLister(t, open)
	for i := range 20 {
		mustSave(t, s, fmt.Sprintf("order-%d", i), 3, "three")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, id := range []string{"", "order-1", "unknown"} {
		yields := 0
		for info, err := range store.List(ended, s, id) {
			yields++
			if info != (store.Info{}) || !errors.Is(err, context.Canceled) {
				t.Errorf("List(%q) with an ended context yielded %+v, %v; want a zero Info and an error matching context.Canceled", id, info, err)
			}
		}
		if yields != 1 {
			t.Errorf("List(%q) with an ended context yielded %d times; want 1 error", id, yields)
		}
	}
}

// wantListed checks the ids that List yields, each as often as it has snapshots,
// standing together with falling numbers.
func wantListed(t *testing.T, s store.SnapshotStore, id string, want ...string) {
	t.Helper()
	var got []string
	var last store.Info
	left := map[string]bool{}
	for info, err := range store.List(t.Context(), s, id) {
		if err != nil {
			t.Fatalf("List(%.40q): %v", id, err)
		}
		switch {
		case len(got) == 0:
		case info.PersistenceID != last.PersistenceID:
			left[last.PersistenceID] = true
			if left[info.PersistenceID] {
				t.Errorf("List(%.40q) came back to %.40q", id, info.PersistenceID)
			}
		case info.SequenceNr >= last.SequenceNr:
			t.Errorf("List(%.40q) yielded %.40q at %d after %d; want newest first", id, info.PersistenceID, info.SequenceNr, last.SequenceNr)
		}
		got = append(got, info.PersistenceID)
		last = info
	}
	want = slices.Sorted(slices.Values(want))
	slices.Sort(got)
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("List(%.40q) yielded %.60q more often or %.60q less often than wanted", id, got[i], want[i])
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("List(%.40q) yielded %d snapshots; want %d", id, len(got), len(want))
	}
}
