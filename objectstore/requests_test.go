package objectstore_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

func TestRequestCounts(t *testing.T) {
	bucket := newHooked()
	s := newStore(t, bucket, objectstore.Options{Prefix: "p/"})
	check := func(what string, want requests) {
		t.Helper()
		if got := bucket.take(); got != want {
			t.Errorf("%s makes the requests %+v; want %+v", what, got, want)
		}
	}
	for nr := range uint64(2500) {
		save(t, s, "order-1", nr, "state")
	}
	check("2500 Saves", requests{puts: 2500})
	for i := range 1500 {
		save(t, s, fmt.Sprintf("order-1/%d", i), 1, "state") // more ids, whose keys lie around
	}
	check("1500 Saves", requests{puts: 1500})

	if _, err := s.LoadLatest(t.Context(), "order-1"); err != nil {
		t.Fatal(err)
	}
	check("LoadLatest", requests{lists: 1, gets: 1})
	if _, err := s.LoadBefore(t.Context(), "order-1", 1234); err != nil {
		t.Fatal(err)
	}
	check("LoadBefore", requests{lists: 1, gets: 1})
	if _, err := s.LoadLatest(t.Context(), "order-2"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	check("LoadLatest of an absent id", requests{lists: 1})
	if _, err := s.LoadBefore(t.Context(), "order-1/7", 1); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	check("LoadBefore of what is absent", requests{lists: 1})
	if _, err := s.LoadBefore(t.Context(), "order-1", 0); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	check("LoadBefore of 0", requests{})

	list := func(id string, want int) {
		t.Helper()
		n := 0
		for _, err := range s.List(t.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != want {
			t.Errorf("List(%q) yields %d; want %d", id, n, want)
		}
	}
	list("order-1", 2500)
	check("List of 2500", requests{lists: 3})
	list("", 4000)
	check("List of 4000", requests{lists: 4})

	remove(t, s, "order-1", 99)
	check("Delete of 100", requests{lists: 1, deletes: 1, deleted: 100})
	remove(t, s, "order-1", 99)
	check("Delete of nothing", requests{lists: 1})
	remove(t, s, "order-1", 1099)
	check("Delete of 1000", requests{lists: 1, deletes: 1, deleted: 1000})
	remove(t, s, "order-1", math.MaxUint64)
	check("Delete of 1400", requests{lists: 2, deletes: 2, deleted: 1400})
	list("", 1500)
}

func TestRequestCountsWithKeep(t *testing.T) {
	bucket := newHooked()
	everything := newStore(t, bucket, objectstore.Options{})
	s := newStore(t, bucket, objectstore.Options{Keep: 3})
	check := func(what string, want requests) {
		t.Helper()
		if got := bucket.take(); got != want {
			t.Errorf("%s makes the requests %+v; want %+v", what, got, want)
		}
	}
	for nr := range uint64(3) {
		save(t, s, "order-1", 10+nr, "state")
		check("a Save with nothing to prune", requests{puts: 1, lists: 1})
	}
	save(t, s, "order-1", 20, "state")
	check("a Save with one to prune", requests{puts: 1, lists: 1, deletes: 1, deleted: 1})

	for nr := range uint64(2500) {
		save(t, everything, "order-2", nr, "state")
	}
	bucket.take()
	save(t, s, "order-2", 2500, "state")
	check("a Save with a backlog", requests{puts: 1, lists: 3, deletes: 3, deleted: 2498})
	wantNumbers(t, s, "order-2", 2500, 2499, 2498)

	many := newStore(t, bucket, objectstore.Options{Keep: 1500})
	for nr := range uint64(1500) {
		save(t, many, "order-3", nr, "state")
	}
	bucket.take()
	save(t, many, "order-3", 1500, "state")
	check("a Save with a Keep of 1500", requests{puts: 1, lists: 2, deletes: 1, deleted: 1})
}

func TestRequestCountsWithPruneAsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		s := newStore(t, bucket, objectstore.Options{Keep: 3, PruneAsync: true})
		for nr := range uint64(10) {
			save(t, s, "order-1", nr, "state")
			synctest.Wait() // for its prune
			want := requests{puts: 1, lists: 1}
			if nr >= 3 {
				want.deletes, want.deleted = 1, 1
			}
			if got := bucket.take(); got != want {
				t.Errorf("the Save number %d and its prune make the requests %+v; want %+v", nr+1, got, want)
			}
		}
		wantNumbers(t, s, "order-1", 9, 8, 7)
	})
}

func TestRequestCountsWithCreateOnly(t *testing.T) {
	bucket := newHooked()
	s := newStore(t, bucket, objectstore.Options{CreateOnly: true})
	save(t, s, "order-1", 1, "state")
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 1}); !errors.Is(err, objectstore.ErrExists) {
		t.Errorf("Save at a number that is taken: %v; want ErrExists", err)
	}
	if got, want := bucket.take(), (requests{puts: 2}); got != want {
		t.Errorf("two Saves make the requests %+v; want %+v", got, want)
	}
}

func TestListReadsOneObjectPerHashedID(t *testing.T) {
	bucket := newHooked()
	s := newStore(t, bucket, objectstore.Options{})
	want := make(map[string]int64)
	for i := range 3 {
		id := fmt.Sprintf("%d%s", i, strings.Repeat("long", 100))
		for nr := range uint64(5) {
			save(t, s, id, nr, strings.Repeat("x", int(nr)))
		}
		want[id] = 0 + 1 + 2 + 3 + 4
	}
	save(t, s, "short", 7, "1234567")
	want["short"] = 7
	bucket.take()
	got := make(map[string]int64)
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got[info.PersistenceID] += info.StoredBytes
	}
	for id, bytes := range want {
		if got[id] != bytes {
			t.Errorf("List tells %d bytes of %.10q; want %d", got[id], id, bytes)
		}
	}
	if counts := bucket.take(); len(got) != len(want) || counts != (requests{lists: 1, gets: 3}) {
		t.Errorf("List gives %d ids with the requests %+v; want %d with 1 list and 3 gets", len(got), counts, len(want))
	}
}

func save(t testing.TB, s *objectstore.Store, id string, nr uint64, state string) {
	t.Helper()
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: []byte(state)}); err != nil {
		t.Errorf("Save(%.40q, %d): %v", id, nr, err)
	}
}

func remove(t *testing.T, s *objectstore.Store, id string, to uint64) {
	t.Helper()
	if err := s.Delete(t.Context(), id, to); err != nil {
		t.Errorf("Delete(%.40q, %d): %v", id, to, err)
	}
}

func wantLatest(t *testing.T, s *objectstore.Store, id string, nr uint64, state string) {
	t.Helper()
	snap, err := s.LoadLatest(t.Context(), id)
	if err != nil || snap.SequenceNr != nr || string(snap.State) != state {
		t.Errorf("LoadLatest(%.40q) = %.40q at %d, %v; want %.40q at %d", id, snap.State, snap.SequenceNr, err, state, nr)
	}
}

// wantNumbers checks what is stored for the id, newest first.
func wantNumbers(t *testing.T, s *objectstore.Store, id string, want ...uint64) {
	t.Helper()
	var got []uint64
	for info, err := range s.List(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.SequenceNr)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%.40q has the numbers %v; want %v", id, got, want)
	}
}
