package observe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/observe"
	"github.com/snapstack/snapstack/store/storetest"
)

// recorder is an Observer that keeps what it is told.
type recorder struct {
	mu      sync.Mutex
	calls   []observe.Call
	results []observe.Result
}

type key struct{}

func (r *recorder) Begin(ctx context.Context, call observe.Call) (context.Context, func(observe.Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
	return context.WithValue(ctx, key{}, call.Op), func(result observe.Result) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.results = append(r.results, result)
	}
}

// take returns the one result since the last time.
func (r *recorder) take(t *testing.T) observe.Result {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) != 1 || len(r.results) != 1 || !reflect.DeepEqual(r.calls[0], r.results[0].Call) {
		t.Fatalf("told of the calls %+v and the results %+v; want one", r.calls, r.results)
	}
	result := r.results[0]
	r.calls, r.results = nil, nil
	return result
}

func newMemory(t *testing.T, keep int) store.SnapshotStore {
	t.Helper()
	s, err := memory.New(memory.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newStore(t *testing.T, inner store.SnapshotStore, opts observe.Options) *observe.Store {
	t.Helper()
	s, err := observe.New(inner, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return newStore(t, newMemory(t, c.Keep), observe.Options{Observers: []observe.Observer{&recorder{}, observe.NewSlog(slog.New(slog.DiscardHandler))}})
	})
}

// clock goes on by a second with every look.
func clock() func() time.Time {
	now := time.Unix(0, 0)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func TestEveryOperationIsTold(t *testing.T) {
	r := &recorder{}
	inner := storetest.NewFaults(newMemory(t, 0), storetest.FaultOptions{Before: func(_, id string) error {
		if id == "broken" {
			return store.ErrCorrupt
		}
		return nil
	}})
	s := newStore(t, inner, observe.Options{Layer: "backend", Observers: []observe.Observer{r}, Now: clock()})
	ctx := t.Context()
	list := func(id string) error {
		for _, err := range s.List(ctx, id) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range []struct {
		name    string
		call    func() error
		want    observe.Result
		outcome observe.Outcome
	}{
		{"Save", func() error {
			return s.Save(ctx, store.Snapshot{PersistenceID: "order-1", SequenceNr: 7, State: []byte("seven")})
		}, observe.Result{Call: observe.Call{Op: store.OpSave, PersistenceID: "order-1", SequenceNr: 7, StateBytes: 5}, Bytes: 5}, observe.OK},
		{"LoadLatest", func() error { _, err := s.LoadLatest(ctx, "order-1"); return err },
			observe.Result{Call: observe.Call{Op: store.OpLoadLatest, PersistenceID: "order-1"}, Found: 7, Bytes: 5}, observe.OK},
		{"LoadBefore", func() error { _, err := s.LoadBefore(ctx, "order-1", 9); return err },
			observe.Result{Call: observe.Call{Op: store.OpLoadBefore, PersistenceID: "order-1", SequenceNr: 9}, Found: 7, Bytes: 5}, observe.OK},
		{"ViewLatest", func() error { return s.ViewLatest(ctx, "order-1", func(store.Snapshot) error { return nil }) },
			observe.Result{Call: observe.Call{Op: store.OpLoadLatest, PersistenceID: "order-1"}, Found: 7, Bytes: 5}, observe.OK},
		{"List", func() error { return list("") }, observe.Result{Call: observe.Call{Op: store.OpList}}, observe.OK},
		{"LoadLatest of nothing", func() error { _, err := s.LoadLatest(ctx, "order-2"); return err },
			observe.Result{Call: observe.Call{Op: store.OpLoadLatest, PersistenceID: "order-2"}}, observe.NotFound},
		{"ViewLatest of nothing", func() error { return s.ViewLatest(ctx, "order-2", nil) },
			observe.Result{Call: observe.Call{Op: store.OpLoadLatest, PersistenceID: "order-2"}}, observe.NotFound},
		{"Save of what is invalid", func() error { return s.Save(ctx, store.Snapshot{State: []byte("x")}) },
			observe.Result{Call: observe.Call{Op: store.OpSave, StateBytes: 1}}, observe.Invalid},
		{"LoadBefore of what is corrupt", func() error { _, err := s.LoadBefore(ctx, "broken", 1); return err },
			observe.Result{Call: observe.Call{Op: store.OpLoadBefore, PersistenceID: "broken", SequenceNr: 1}}, observe.Corrupt},
		{"Delete", func() error { return s.Delete(ctx, "order-1", 7) },
			observe.Result{Call: observe.Call{Op: store.OpDelete, PersistenceID: "order-1", SequenceNr: 7}}, observe.OK},
	} {
		err := c.call()
		got := r.take(t)
		if !errors.Is(got.Err, err) || got.Outcome() != c.outcome || got.Duration != time.Second {
			t.Errorf("%s: %v is told as %q, %v, after %v; want %q after a second", c.name, err, got.Outcome(), got.Err, got.Duration, c.outcome)
		}
		c.want.Layer = "backend"
		got.Err, got.Duration = nil, 0
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is told as\n%+v; want\n%+v", c.name, got, c.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A load is over when its snapshot is there, whatever a view does with it.
func TestViewIsNotPartOfTheLoad(t *testing.T) {
	r := &recorder{}
	s := newStore(t, newMemory(t, 0), observe.Options{Observers: []observe.Observer{r}})
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1"}); err != nil {
		t.Fatal(err)
	}
	r.take(t)
	failure := errors.New("the view's own")
	err := s.ViewLatest(t.Context(), "order-1", func(store.Snapshot) error {
		if got := r.take(t); got.Outcome() != observe.OK {
			t.Errorf("told as %q", got.Outcome())
		}
		return failure
	})
	if err != failure || len(r.results) != 0 {
		t.Errorf("ViewLatest: %v, and told again: %+v", err, r.results)
	}
}

// watched is a store that panics, and keeps the context of its calls.
type watched struct {
	store.SnapshotStore
	ctx context.Context
}

func (w *watched) LoadLatest(ctx context.Context, _ string) (store.Snapshot, error) {
	w.ctx = ctx
	panic("out of order")
}

func TestObserversNestAndPanicsPass(t *testing.T) {
	var order []string
	named := func(name string) observe.Observer {
		return observer(func(ctx context.Context, _ observe.Call) (context.Context, func(observe.Result)) {
			order = append(order, name)
			return context.WithValue(ctx, key{}, name), func(r observe.Result) {
				order = append(order, fmt.Sprintf("%s ends: %s", name, r.Outcome()))
			}
		})
	}
	inner := &watched{SnapshotStore: newMemory(t, 0)}
	s := newStore(t, inner, observe.Options{Observers: []observe.Observer{named("outer"), named("inner")}})
	func() {
		defer func() {
			if got := recover(); got != "out of order" {
				t.Errorf("recovered %v; want the panic of the inner store", got)
			}
		}()
		_, _ = s.LoadLatest(t.Context(), "order-1")
	}()
	if want := []string{"outer", "inner", "inner ends: error", "outer ends: error"}; !slices.Equal(order, want) {
		t.Errorf("told %q; want %q", order, want)
	}
	if inner.ctx.Value(key{}) != "inner" {
		t.Error("the inner store was not called with the context of the last observer")
	}
}

type observer func(context.Context, observe.Call) (context.Context, func(observe.Result))

func (o observer) Begin(ctx context.Context, call observe.Call) (context.Context, func(observe.Result)) {
	return o(ctx, call)
}

func TestListThatIsLeftEarlyIsTold(t *testing.T) {
	r := &recorder{}
	s := newStore(t, newMemory(t, 0), observe.Options{Observers: []observe.Observer{r}})
	for nr := range uint64(3) {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: nr}); err != nil {
			t.Fatal(err)
		}
		r.take(t)
	}
	for range s.List(t.Context(), "order-1") {
		break
	}
	if got := r.take(t); got.Outcome() != observe.OK {
		t.Errorf("told as %q", got.Outcome())
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err     error
		want    observe.Outcome
		failure bool
	}{
		{nil, observe.OK, false},
		{store.ErrNotFound, observe.NotFound, false},
		{context.Canceled, observe.Canceled, false},
		{context.DeadlineExceeded, observe.Timeout, true},
		{store.ErrTooLarge, observe.TooLarge, true},
		{store.ErrClosed, observe.Closed, true},
		{errors.ErrUnsupported, observe.Unsupported, true},
		{errors.New("wire cut"), observe.Failed, true},
	} {
		got := observe.Result{Err: store.Wrap(store.OpSave, "order-1", 1, c.err)}.Outcome()
		if got != c.want || got.Failure() != c.failure {
			t.Errorf("%v is %q, a failure: %v; want %q, %v", c.err, got, got.Failure(), c.want, c.failure)
		}
	}
}

func TestSlog(t *testing.T) {
	var out bytes.Buffer
	level := &slog.LevelVar{}
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	s := newStore(t, newMemory(t, 0), observe.Options{Layer: "backend", Observers: []observe.Observer{observe.NewSlog(logger)}, Now: clock()})
	level.Set(slog.LevelDebug)
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 7, State: []byte("seven")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoadBefore(t.Context(), "order-1", 9); err != nil {
		t.Fatal(err)
	}
	level.Set(slog.LevelInfo)
	if _, err := s.LoadLatest(t.Context(), "order-2"); !errors.Is(err, store.ErrNotFound) { // nothing to look at
		t.Fatal(err)
	}
	if _, err := s.LoadLatest(t.Context(), ""); !errors.Is(err, store.ErrInvalid) {
		t.Fatal(err)
	}
	want := `level=DEBUG msg="snapshot operation" layer=backend op=save persistence_id=order-1 sequence_nr=7 found=0 bytes=5 duration=1s outcome=ok
level=DEBUG msg="snapshot operation" layer=backend op="load before" persistence_id=order-1 sequence_nr=9 found=7 bytes=5 duration=1s outcome=ok
level=ERROR msg="snapshot operation" layer=backend op="load latest" persistence_id="" sequence_nr=0 found=0 bytes=0 duration=1s outcome=invalid error=`
	if got := out.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 3 {
		t.Errorf("logged\n%s; want\n%s", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	r := &recorder{}
	for name, open := range map[string]func() (*observe.Store, error){
		"a nil store": func() (*observe.Store, error) {
			return observe.New(nil, observe.Options{Observers: []observe.Observer{r}})
		},
		"no observers": func() (*observe.Store, error) { return observe.New(newMemory(t, 0), observe.Options{}) },
		"a nil observer": func() (*observe.Store, error) {
			return observe.New(newMemory(t, 0), observe.Options{Observers: []observe.Observer{r, nil}})
		},
	} {
		if s, err := open(); s != nil || !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, %v; want ErrInvalid", name, s, err)
		}
	}
}
