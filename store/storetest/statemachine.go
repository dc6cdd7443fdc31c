package storetest

import (
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/snapstack/snapstack/store"
)

func stateMachine(t *testing.T, open Open) { checkStateMachine(t, open, Config{}) }

func stateMachineWithKeep(t *testing.T, open Open) { checkStateMachine(t, open, Config{Keep: 2}) }

// checkStateMachine makes random calls, one after the other, and compares every
// answer with that of a plain map.
func checkStateMachine(t *testing.T, open Open, c Config) {
	if s := open(t, c); s != nil { // may skip the test, which it can't from within rapid
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, c)
		defer func() {
			if err := s.Close(); err != nil {
				rt.Errorf("Close: %v", err)
			}
		}()
		m := &machine{s: s, ctx: t, model: model{}, keep: c.Keep, lists: canList(t, s)}
		rt.Repeat(map[string]func(*rapid.T){
			"Save":       m.save,
			"LoadLatest": m.loadLatest,
			"ViewLatest": m.viewLatest,
			"LoadBefore": m.loadBefore,
			"Delete":     m.delete,
			"List":       m.list,
		})
	})
}

// model is the plain map: the state of each number of each id.
type model map[string]map[uint64]string

// newestBelow returns the highest number of the id below the bound.
func (m model) newestBelow(id string, bound uint64) (nr uint64, found bool) {
	for candidate := range m[id] {
		if candidate < bound && (!found || candidate > nr) {
			nr, found = candidate, true
		}
	}
	return nr, found
}

// numbers returns the numbers of the id, newest first.
func (m model) numbers(id string) []uint64 {
	numbers := slices.Sorted(maps.Keys(m[id]))
	slices.Reverse(numbers)
	return numbers
}

type machine struct {
	s     store.SnapshotStore
	ctx   *testing.T // for its context
	model model
	keep  int
	lists bool
}

var (
	genID     = rapid.SampledFrom([]string{"a", "b", "a/b", "A", "..", "é"})
	genNumber = rapid.OneOf(rapid.Uint64Range(0, 8), rapid.SampledFrom([]uint64{math.MaxInt64 - 1, math.MaxInt64}))
	genBound  = rapid.OneOf(genNumber, rapid.SampledFrom([]uint64{9, math.MaxInt64 + 1, math.MaxUint64}))
	genState  = rapid.OneOf(rapid.StringN(0, 20, 40), rapid.SampledFrom([]string{"", "\x00", string(zstdMagic), string(skippableMagic) + "\x00\x00\x00\x00x"}))
)

func (m *machine) save(t *rapid.T) {
	id, nr, state := genID.Draw(t, "id"), genNumber.Draw(t, "number"), genState.Draw(t, "state")
	buffer := []byte(state)
	if err := m.s.Save(m.ctx.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, Timestamp: taken, State: buffer}); err != nil {
		t.Fatalf("Save(%q, %d): %v", id, nr, err)
	}
	clear(buffer)
	if m.model[id] == nil {
		m.model[id] = map[uint64]string{}
	}
	m.model[id][nr] = state
	if m.keep > 0 {
		remaining := 0
		for _, stored := range m.model.numbers(id) {
			if stored <= nr {
				if remaining++; remaining > m.keep {
					delete(m.model[id], stored)
				}
			}
		}
	}
}

func (m *machine) loadLatest(t *rapid.T) {
	id := genID.Draw(t, "id")
	got, err := m.s.LoadLatest(m.ctx.Context(), id)
	m.compare(t, id, math.MaxUint64, got, err)
	clear(got.State)
}

func (m *machine) viewLatest(t *rapid.T) {
	id := genID.Draw(t, "id")
	called := false
	err := store.ViewLatest(m.ctx.Context(), m.s, id, func(got store.Snapshot) error {
		called = true
		m.compare(t, id, math.MaxUint64, got, nil)
		return nil
	})
	if !called {
		m.compare(t, id, math.MaxUint64, store.Snapshot{}, err)
	} else if err != nil {
		t.Fatalf("ViewLatest(%q) called view and returned %v", id, err)
	}
}

func (m *machine) loadBefore(t *rapid.T) {
	id, bound := genID.Draw(t, "id"), genBound.Draw(t, "bound")
	got, err := m.s.LoadBefore(m.ctx.Context(), id, bound)
	m.compare(t, id, bound, got, err)
	clear(got.State)
}

func (m *machine) delete(t *rapid.T) {
	id, to := genID.Draw(t, "id"), genBound.Draw(t, "to")
	if err := m.s.Delete(m.ctx.Context(), id, to); err != nil {
		t.Fatalf("Delete(%q, %d): %v", id, to, err)
	}
	maps.DeleteFunc(m.model[id], func(nr uint64, _ string) bool { return nr <= to })
}

func (m *machine) list(t *rapid.T) {
	if !m.lists {
		t.Skip("no layer is a store.Lister")
	}
	got := map[string][]uint64{}
	for info, err := range store.List(m.ctx.Context(), m.s, "") {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		got[info.PersistenceID] = append(got[info.PersistenceID], info.SequenceNr)
	}
	for id := range m.model {
		if want := m.model.numbers(id); !slices.Equal(got[id], want) {
			t.Fatalf("List yielded the numbers %v of %q; want %v", got[id], id, want)
		}
		delete(got, id)
	}
	if len(got) > 0 {
		t.Fatalf("List yielded ids that nobody saved: %v", got)
	}
}

// compare checks the answer of a load of the newest number below the bound.
func (m *machine) compare(t *rapid.T, id string, bound uint64, got store.Snapshot, err error) {
	want, found := m.model.newestBelow(id, bound)
	if !found {
		if !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("load of %q below %d gave number %d, %v; want ErrNotFound", id, bound, got.SequenceNr, err)
		}
		return
	}
	if err != nil || got.PersistenceID != id || got.SequenceNr != want || string(got.State) != m.model[id][want] || !got.Timestamp.Equal(taken) {
		t.Fatalf("load of %q below %d gave %q at %d of %q taken %v, %v; want %q at %d",
			id, bound, got.State, got.SequenceNr, got.PersistenceID, got.Timestamp, err, m.model[id][want], want)
	}
}
