package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/snapstack/snapstack/store"
)

// LinearizableOptions shapes a history for CheckLinearizable.
type LinearizableOptions struct {
	PersistenceID string // what is called; nothing may be stored there yet
	Clients       int    // goroutines that call at the same time
	Calls         int    // calls that each of them makes
	Seed          uint64 // of the calls; their schedule is the machine's

	// Context gives the context of each call, which may end at any point; nil never
	// ends one. Its random numbers are the client's own.
	Context func(ctx context.Context, random *rand.Rand) (context.Context, context.CancelFunc)
}

// CheckLinearizable makes random concurrent calls of all methods on one id of s
// and fails t unless there is an order of them that respects real time and
// explains every result. Calls may fail: a failed load says nothing, a failed
// write may have taken effect at any time from its beginning on, or never, and a
// failed Delete in part.
func CheckLinearizable(t *testing.T, s store.SnapshotStore, o LinearizableOptions) {
	t.Helper()
	history := recordHistory(t, s, o)
	result, info := porcupine.CheckOperationsVerbose(historyModel, history, time.Minute)
	switch result {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Errorf("no verdict on a history of %d calls within a minute", len(history))
	case porcupine.Illegal:
		t.Errorf("not linearizable (seed %d): no order of these calls explains their results\n%s\nlongest that can be explained: %d of %d calls",
			o.Seed, describe(history), longest(info.PartialLinearizations()), len(history))
	}
}

func linearizable(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	for i := range 40 {
		CheckLinearizable(t, s, LinearizableOptions{
			PersistenceID: fmt.Sprintf("order-%d", i),
			Clients:       4,
			Calls:         12,
			Seed:          uint64(i),
		})
		if t.Failed() {
			return
		}
	}
}

// A historyCall is the input of an operation in a history.
type historyCall struct {
	op    string
	nr    uint64 // number or bound
	value uint64 // of a Save; every one is saved once
}

// A historyResult is the output. Of a failed write only unknown is set.
type historyResult struct {
	unknown   bool
	found     bool
	nr, value uint64
}

// maxHistoryNr is the highest number saved: few of them, so that calls meet.
const maxHistoryNr = 4

// recordHistory makes the calls and returns those that say something.
func recordHistory(t *testing.T, s store.SnapshotStore, o LinearizableOptions) []porcupine.Operation {
	var (
		clock, values atomic.Int64 // a logical clock: no two events at the same time
		mu            sync.Mutex
		history       []porcupine.Operation
		wg            sync.WaitGroup
	)
	for client := range o.Clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(o.Seed, uint64(client)))
			for range o.Calls {
				call := historyCall{nr: random.Uint64N(maxHistoryNr + 1), value: uint64(values.Add(1))}
				call.op = []string{store.OpSave, store.OpSave, store.OpSave, store.OpLoadLatest, store.OpLoadLatest, store.OpLoadLatest, opView, opView, store.OpLoadBefore, store.OpDelete}[random.IntN(10)]
				if call.op == store.OpLoadBefore {
					call.nr++ // up to one above all numbers
				}
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if o.Context != nil {
					ctx, cancel = o.Context(ctx, random)
				}
				begun := clock.Add(1)
				result, err := makeCall(ctx, s, o.PersistenceID, call)
				ended := clock.Add(1)
				cancel()
				if err != nil {
					if call.op != store.OpSave && call.op != store.OpDelete {
						continue
					}
					result = historyResult{unknown: true}
					ended = 1 << 62 // it may still take effect
				}
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: client, Input: call, Call: begun, Output: result, Return: ended})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return history
}

// opView stands for ViewLatest, which shares its Op with LoadLatest.
const opView = "view latest"

// makeCall makes one call. A load that finds nothing is a result, not an error.
func makeCall(ctx context.Context, s store.SnapshotStore, id string, call historyCall) (historyResult, error) {
	var result historyResult
	keep := func(snap store.Snapshot) error {
		text, _, _ := strings.Cut(string(snap.State), " ")
		value, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("state %.40q was never saved", snap.State)
		}
		result = historyResult{found: true, nr: snap.SequenceNr, value: value}
		return nil
	}
	var err error
	var snap store.Snapshot
	switch call.op {
	case store.OpSave:
		state := fmt.Appendf(nil, "%d %s", call.value, strings.Repeat("state ", 20))
		return result, s.Save(ctx, store.Snapshot{PersistenceID: id, SequenceNr: call.nr, State: state})
	case store.OpDelete:
		return result, s.Delete(ctx, id, call.nr)
	case opView:
		err = store.ViewLatest(ctx, s, id, keep)
	case store.OpLoadLatest:
		if snap, err = s.LoadLatest(ctx, id); err == nil {
			err = keep(snap)
		}
	case store.OpLoadBefore:
		if snap, err = s.LoadBefore(ctx, id, call.nr); err == nil {
			err = keep(snap)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return historyResult{}, nil
	}
	return result, err
}

// A historyState is what the store holds: the value of each number, 0 for none.
type historyState [maxHistoryNr + 1]uint64

// newestBelow returns what a load of the newest number below the bound gives.
func (s historyState) newestBelow(bound uint64) historyResult {
	for nr := min(bound, uint64(len(s))); nr > 0; nr-- {
		if s[nr-1] != 0 {
			return historyResult{found: true, nr: nr - 1, value: s[nr-1]}
		}
	}
	return historyResult{}
}

var historyModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{historyState{}} },
	Step: func(state, input, output any) []any {
		before, call, result := state.(historyState), input.(historyCall), output.(historyResult)
		switch call.op {
		case store.OpSave:
			after := before
			after[call.nr] = call.value
			if result.unknown {
				return []any{before, after}
			}
			return []any{after}
		case store.OpDelete:
			states := []historyState{before}
			for nr := range call.nr + 1 {
				for _, s := range slices.Clone(states) {
					s[nr] = 0
					states = append(states, s)
				}
			}
			if !result.unknown {
				return []any{states[len(states)-1]} // all of them gone
			}
			slices.SortFunc(states, func(a, b historyState) int { return slices.Compare(a[:], b[:]) })
			var possible []any
			for _, s := range slices.Compact(states) {
				possible = append(possible, s)
			}
			return possible
		case store.OpLoadBefore:
			if before.newestBelow(call.nr) == result {
				return []any{before}
			}
		default:
			if before.newestBelow(maxHistoryNr+1) == result {
				return []any{before}
			}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}).ToModel()

// describe prints a history in the order in which its calls began.
func describe(history []porcupine.Operation) string {
	history = slices.SortedFunc(slices.Values(history), func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range history {
		call, result := op.Input.(historyCall), op.Output.(historyResult)
		fmt.Fprintf(&b, "client %d, %4d to %4d: %s", op.ClientId, op.Call, op.Return, call.op)
		switch call.op {
		case store.OpSave:
			fmt.Fprintf(&b, " %d with value %d", call.nr, call.value)
		case store.OpDelete, store.OpLoadBefore:
			fmt.Fprintf(&b, " %d", call.nr)
		}
		switch {
		case result.unknown:
			b.WriteString(" failed\n")
		case result.found:
			fmt.Fprintf(&b, " gave %d with value %d\n", result.nr, result.value)
		case call.op == store.OpSave, call.op == store.OpDelete:
			b.WriteString("\n")
		default:
			b.WriteString(" found nothing\n")
		}
	}
	return b.String()
}

// longest returns the length of the longest of the partial orders that porcupine
// could explain.
func longest(partitions [][][]int) int {
	n := 0
	for _, partials := range partitions {
		for _, partial := range partials {
			n = max(n, len(partial))
		}
	}
	return n
}
