package eventhorizon_test

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	eh "github.com/looplab/eventhorizon"
	"github.com/looplab/eventhorizon/aggregatestore/events"
	"github.com/looplab/eventhorizon/eventstore"
	"github.com/looplab/eventhorizon/eventstore/memory"
	"github.com/looplab/eventhorizon/uuid"
	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/examples/adapters/eventhorizon"
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
	return s
}

func adapt(t *testing.T, snapshots store.SnapshotStore) *eventhorizon.Store {
	t.Helper()
	journal, err := memory.NewEventStore()
	if err != nil {
		t.Fatal(err)
	}
	s, err := eventhorizon.New(journalFrom{journal}, snapshots)
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

// journalFrom mends the library's event store for tests: in its version 0.16.0 LoadFrom
// gives a nil event for each one ahead of the version, on which the aggregate store panics.
type journalFrom struct{ eh.EventStore }

func (j journalFrom) LoadFrom(ctx context.Context, id uuid.UUID, version int) ([]eh.Event, error) {
	all, err := j.EventStore.LoadFrom(ctx, id, version)
	return slices.DeleteFunc(all, func(e eh.Event) bool { return e == nil }), err
}

// The library's own tests of an event store and of a snapshot store. The latter registers a
// type for the whole process, so it can run once, and gets the deepest stack.
func TestAcceptance(t *testing.T) {
	s := adapt(t, open(t, "cache | singleflight | fallback | zstd(min=0) | sqlite(path=:memory:)"))
	eventstore.AcceptanceTest(t, s, t.Context())
	eventstore.SnapshotAcceptanceTest(t, s, t.Context())
}

const basketType eh.AggregateType = "basket"

const putType eh.EventType = "put"

// A basket counts what was put in, and says how many events it was given.
type basket struct {
	*events.AggregateBase
	items    []string
	replayed int
}

type basketState struct {
	Items []string `json:"items"`
}

type put struct {
	Item string `json:"item"`
}

func init() {
	eh.RegisterAggregate(func(id uuid.UUID) eh.Aggregate { return newBasket(id) })
	eh.RegisterEventData(putType, func() eh.EventData { return &put{} })
	eh.RegisterSnapshotData(basketType, func(uuid.UUID) eh.SnapshotData { return &basketState{} })
}

func newBasket(id uuid.UUID) *basket {
	return &basket{AggregateBase: events.NewAggregateBase(basketType, id)}
}

func (b *basket) HandleCommand(context.Context, eh.Command) error { return nil }

func (b *basket) ApplyEvent(_ context.Context, e eh.Event) error {
	b.items = append(b.items, e.Data().(*put).Item)
	b.replayed++
	return nil
}

func (b *basket) CreateSnapshot() *eh.Snapshot {
	return &eh.Snapshot{Version: b.AggregateVersion(), AggregateType: basketType, Timestamp: time.Now(), State: &basketState{Items: b.items}}
}

func (b *basket) ApplySnapshot(snapshot *eh.Snapshot) {
	b.items = snapshot.State.(*basketState).Items
	b.SetAggregateVersion(snapshot.Version)
}

// The library's aggregate store, with events and snapshots.
func TestAggregateStoreReplaysWhatIsBehindTheSnapshot(t *testing.T) {
	both := adapt(t, open(t, "cache | zstd | sqlite(path=:memory:)"))
	aggregates, err := events.NewAggregateStore(both, events.WithSnapshotStrategy(events.NewEveryNumberEventSnapshotStrategy(3)))
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.New()
	var want []string
	for n := range 5 {
		aggregate, err := aggregates.Load(t.Context(), basketType, id)
		if err != nil {
			t.Fatal(err)
		}
		b := aggregate.(*basket)
		item := strconv.Itoa(n)
		want = append(want, item)
		b.AppendEvent(putType, &put{Item: item}, time.Now())
		if err := aggregates.Save(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	aggregate, err := aggregates.Load(t.Context(), basketType, id)
	if err != nil {
		t.Fatal(err)
	}
	b := aggregate.(*basket)
	if !slices.Equal(b.items, want) || b.AggregateVersion() != 5 || b.replayed != 2 {
		t.Errorf("the basket holds %v at %d after %d events; want %v at 5 after 2", b.items, b.AggregateVersion(), b.replayed, want)
	}
}

func TestEverythingSurvivesAReopen(t *testing.T) {
	text := "zstd(min=0) | sqlite(path=" + strconv.Quote(filepath.Join(t.TempDir(), "a.db")) + ")"
	id := uuid.New()
	want := eh.Snapshot{Version: 41, AggregateType: basketType, Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC), State: &basketState{Items: []string{"tea"}}}
	first := adapt(t, open(t, text))
	if err := first.SaveSnapshot(t.Context(), id, want); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := adapt(t, open(t, text)).LoadSnapshot(t.Context(), id)
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("LoadSnapshot = %+v, %v; want %+v", got, err, want)
	}
}

func TestFailureIsNotAbsence(t *testing.T) {
	failure := errors.New("disk on fire")
	failing := false
	snapshots := open(t, "memory")
	s := adapt(t, storetest.NewFaults(snapshots, storetest.FaultOptions{Before: func(string, string) error {
		if failing {
			return failure
		}
		return nil
	}}))
	id := uuid.New()
	if got, err := s.LoadSnapshot(t.Context(), id); got != nil || err != nil {
		t.Errorf("LoadSnapshot of none = %v, %v; want nil, nil", got, err)
	}
	failing = true
	var wrapped *eh.EventStoreError
	if _, err := s.LoadSnapshot(t.Context(), id); !errors.Is(err, failure) || !errors.As(err, &wrapped) || wrapped.Op != eh.EventStoreOpLoadSnapshot {
		t.Errorf("LoadSnapshot: %v; want the failure in an EventStoreError", err)
	}
	if err := s.SaveSnapshot(t.Context(), id, eh.Snapshot{AggregateType: basketType, State: &basketState{}}); !errors.Is(err, failure) {
		t.Errorf("SaveSnapshot: %v; want the failure", err)
	}
	failing = false

	for name, bad := range map[string]eh.Snapshot{
		"no type":          {State: &basketState{}},
		"no state":         {AggregateType: basketType},
		"negative version": {AggregateType: basketType, State: &basketState{}, Version: -1},
	} {
		if err := s.SaveSnapshot(t.Context(), id, bad); !errors.Is(err, store.ErrInvalid) || !errors.As(err, &wrapped) {
			t.Errorf("SaveSnapshot with %s: %v; want ErrInvalid in an EventStoreError", name, err)
		}
	}
	if err := s.SaveSnapshot(t.Context(), id, eh.Snapshot{AggregateType: basketType, State: func() {}}); err == nil {
		t.Error("a state that JSON does not know was saved")
	}
	for name, state := range map[string]string{
		"no JSON":              "\x00SCV\x01{",
		"another state":        "\x00SCV\x01" + `{"type":"basket","state":[]}`,
		"a type nobody knows":  "\x00SCV\x01" + `{"type":"parcel","state":{}}`,
		"a later envelope":     "\x00SCV\x02{}",
		"no envelope (before)": "{}",
	} {
		if err := snapshots.Save(t.Context(), store.Snapshot{PersistenceID: id.String(), State: []byte(state)}); err != nil {
			t.Fatal(err)
		}
		if got, err := s.LoadSnapshot(t.Context(), id); got != nil || !errors.As(err, &wrapped) {
			t.Errorf("LoadSnapshot of %s = %v, %v; want an EventStoreError", name, got, err)
		}
	}
	if _, err := eventhorizon.New(nil, snapshots); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New without an event store: %v; want ErrInvalid", err)
	}
	if _, err := eventhorizon.New(s, nil); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New without a stack: %v; want ErrInvalid", err)
	}
}
