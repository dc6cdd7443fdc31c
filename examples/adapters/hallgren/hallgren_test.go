package hallgren_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hallgren/eventsourcing"
	"github.com/hallgren/eventsourcing/core"
	"github.com/hallgren/eventsourcing/core/testsuite"
	"github.com/hallgren/eventsourcing/eventstore/memory"
	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/examples/adapters/hallgren"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, text string) store.SnapshotStore {
	t.Helper()
	s, err := stack.Open(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func adapt(t *testing.T, s store.SnapshotStore) *hallgren.Store {
	t.Helper()
	adapted, err := hallgren.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return adapted
}

// The library's own suite.
func TestSuite(t *testing.T) {
	for _, text := range []string{
		"memory",
		"cache | singleflight | zstd(min=0) | sqlite(path=:memory:)",
		"fallback | objectstore(url=mem://)",
	} {
		t.Run(text, func(t *testing.T) {
			testsuite.TestSnapshotStore(t, func() (core.SnapshotStore, func(), error) {
				s, err := stack.Open(t.Context(), text)
				if err != nil {
					return nil, nil, err
				}
				adapted, err := hallgren.New(s)
				return adapted, func() {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}, err
			})
		})
	}
}

func TestEverythingSurvivesAReopen(t *testing.T) {
	text := "zstd(min=0) | sqlite(path=" + strconv.Quote(filepath.Join(t.TempDir(), "a.db")) + ")"
	s := open(t, text)
	want := core.Snapshot{ID: "7", Type: "Order", Version: 41, GlobalVersion: math.MaxUint64, State: []byte(`{"paid":true}`)}
	if err := adapt(t, s).Save(want); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := adapt(t, open(t, text)).Get(t.Context(), "7", "Order")
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Get = %v, %v; want %v", got, err, want)
	}
}

func TestNoTwoAggregatesMeet(t *testing.T) {
	s := adapt(t, open(t, "memory"))
	pairs := [][2]string{{"a", "/b/c"}, {"a/", "b/c"}, {"", "a/b/c"}, {"a%2Fb", "c"}, {"A", "b"}, {"ab", ""}, {"a", "b"}}
	for _, between := range "/-_.:|%, " { // whatever may stand between type and id
		pairs = append(pairs, [2]string{"a", "b" + string(between) + "c"}, [2]string{"a" + string(between) + "b", "c"})
	}
	snapshot := func(i int, pair [2]string) core.Snapshot {
		return core.Snapshot{Type: pair[0], ID: pair[1], Version: core.Version(i), GlobalVersion: core.Version(i), State: []byte(fmt.Sprint(pair))}
	}
	for i, pair := range pairs {
		if _, err := s.Get(t.Context(), pair[1], pair[0]); !errors.Is(err, core.ErrSnapshotNotFound) {
			t.Errorf("%q has a snapshot before it was saved: %v", pair, err)
		}
		if err := s.Save(snapshot(i, pair)); err != nil {
			t.Fatal(err)
		}
	}
	for i, pair := range pairs {
		got, err := s.Get(t.Context(), pair[1], pair[0])
		if err != nil || fmt.Sprint(got) != fmt.Sprint(snapshot(i, pair)) {
			t.Errorf("%q has %v, %v", pair, got, err)
		}
	}
}

func TestFailureIsNotAbsence(t *testing.T) {
	failure := errors.New("disk on fire")
	s := adapt(t, storetest.NewFaults(open(t, "memory"), storetest.FaultOptions{Before: func(string, string) error { return failure }}))
	if _, err := s.Get(t.Context(), "7", "Order"); !errors.Is(err, failure) || errors.Is(err, core.ErrSnapshotNotFound) {
		t.Errorf("Get: %v; want the failure", err)
	}
	if err := s.Save(core.Snapshot{ID: "7", Type: "Order"}); !errors.Is(err, failure) {
		t.Errorf("Save: %v; want the failure", err)
	}
	if _, err := hallgren.New(nil); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New of nil: %v; want ErrInvalid", err)
	}
}

func TestDamagedAndForeignStates(t *testing.T) {
	s := open(t, "memory")
	adapted := adapt(t, s)
	if err := adapted.Save(core.Snapshot{ID: "7", Type: "Order", Version: 1, State: []byte("state")}); err != nil {
		t.Fatal(err)
	}
	saved, err := s.LoadLatest(t.Context(), "Order/7")
	if err != nil {
		t.Fatal(err)
	}
	put := func(id string, state []byte) {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: 1, State: state}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range len(saved.State) - len("state") {
		put("Order/7", saved.State[:n])
		if got, err := adapted.Get(t.Context(), "7", "Order"); err == nil || errors.Is(err, core.ErrSnapshotNotFound) {
			t.Errorf("of %d bytes: %v, %v; want an error", n, got, err)
		}
	}
	put("Order/8", saved.State)
	if got, err := adapted.Get(t.Context(), "8", "Order"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("the state of another aggregate: %v, %v; want ErrCorrupt", got, err)
	}
	put("Order/9", append([]byte("\x00SCV\x02"), saved.State[5:]...))
	if got, err := adapted.Get(t.Context(), "9", "Order"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("an envelope of version 2: %v, %v; want ErrUnsupported", got, err)
	}
}

// counterAggregate counts, and says how many events it was given.
type counterAggregate struct {
	eventsourcing.AggregateRoot
	Count    int
	replayed int
}

type incremented struct{}

func (c *counterAggregate) Register(f eventsourcing.RegisterFunc) { f(&incremented{}) }

func (c *counterAggregate) Transition(eventsourcing.Event) {
	c.Count++
	c.replayed++
}

// The library's repository, with events and snapshots.
func TestRepositoryReplaysWhatIsBehindTheSnapshot(t *testing.T) {
	events := eventsourcing.NewEventRepository(memory.Create())
	events.Register(&counterAggregate{})
	repository := eventsourcing.NewSnapshotRepository(adapt(t, open(t, "cache | sqlite(path=:memory:)")), events)
	c := &counterAggregate{}
	increment := func(n int) {
		for range n {
			c.TrackChange(c, &incremented{})
		}
	}
	increment(5)
	if err := repository.Save(c); err != nil { // events and a snapshot
		t.Fatal(err)
	}
	increment(2)
	if err := events.Save(c); err != nil { // events alone
		t.Fatal(err)
	}
	woken := &counterAggregate{}
	if err := repository.GetWithContext(t.Context(), c.ID(), woken); err != nil {
		t.Fatal(err)
	}
	if woken.Count != 7 || woken.replayed != 2 || woken.Version() != 7 || woken.GlobalVersion() != c.GlobalVersion() {
		t.Errorf("woke with a count of %d at %d (%d globally, %d here) after %d events; want 7 at 7 after 2", woken.Count, woken.Version(), woken.GlobalVersion(), c.GlobalVersion(), woken.replayed)
	}
	if err := repository.GetSnapshot(t.Context(), "none", &counterAggregate{}); !errors.Is(err, eventsourcing.ErrAggregateNotFound) {
		t.Errorf("GetSnapshot of none: %v; want ErrAggregateNotFound", err)
	}
}
