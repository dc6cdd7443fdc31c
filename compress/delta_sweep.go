package compress

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/snapstack/snapstack/store"
)

// sweepAge is the age from which on a base of another writer is removed if no snapshot
// needs it: that writer makes no difference from it any more, being held to baseUse,
// unless the clocks of the two are a day apart.
const sweepAge = baseUse + 24*time.Hour

// Sweep removes the bases that no snapshot needs, and returns how many. While a
// Delta runs it removes its own by itself; what is left for Sweep are those of writers
// that are no more, above all of Deltas without a name, which leave behind the bases that
// the last snapshots of every id needed, and those that it had forgotten (CacheBytes) of
// numbers that were saved again. Of other writers it removes those made eight days ago or
// earlier, as the numbers of bases tell, so that it may run beside them.
//
// It lists everything and reads the snapshots of ids that have such bases: run it now
// and then, from one place. What it removed before an error stays removed. A corrupt
// snapshot keeps the bases of its id, since it can't be told which of them it needs: Sweep
// goes on with the other ids, and returns the error of the first such one in the end.
func (d *Delta) Sweep(ctx context.Context) (removed int, err error) {
	removed, err = d.sweep(ctx)
	return removed, store.Wrap(store.OpDelete, "", 0, err)
}

func (d *Delta) sweep(ctx context.Context) (removed int, err error) {
	if err := d.gate.Enter(ctx); err != nil {
		return 0, err
	}
	defer d.gate.Leave()
	var name storedName
	var bases []uint64 // of name, newest first
	var left error     // of the first id whose bases stay
	group := func() error {
		if len(bases) == 0 {
			return nil
		}
		n, err := d.sweepBases(ctx, name, bases)
		removed += n
		bases = bases[:0]
		if undecided(err) {
			if left == nil {
				left = err
			}
			return nil
		}
		return err
	}
	for info, err := range store.List(ctx, d.inner, "") {
		if err != nil {
			return removed, err
		}
		at, ok := nameOf(info.PersistenceID)
		if at != name {
			if err := group(); err != nil {
				return removed, err
			}
			name = at
		}
		if ok && at.writer != "" {
			bases = append(bases, info.SequenceNr)
		}
	}
	if err := group(); err != nil {
		return removed, err
	}
	return removed, left
}

// sweepBases removes those of the bases of an id by one writer that nobody needs.
func (d *Delta) sweepBases(ctx context.Context, name storedName, bases []uint64) (removed int, err error) {
	if name.writer == d.opts.Writer {
		h := d.heads.use(name.id)
		defer d.heads.release(h)
		if err := h.take(ctx); err != nil {
			return 0, err
		}
		defer h.give()
		h.basesKnown = false // they are looked at again
		if err := d.removeBases(ctx, h, math.MaxInt); err != nil {
			return 0, removalError(store.OpDelete, name.id, 0, err)
		}
		return max(len(bases)-len(h.bases), 0), nil
	}
	before := uint64(max(d.opts.Now().Add(-sweepAge).UnixMilli(), 0)) << 20
	oldest := bases[len(bases)-1]
	if oldest >= before {
		return 0, nil
	}
	needed := before
	numbers, err := d.numbers(ctx, storedID(name.id))
	if err != nil {
		return 0, err
	}
	for _, number := range slices.Backward(numbers) { // as in removeUnused
		ref, err := d.refTo(ctx, name, number)
		if err != nil {
			return 0, removalError(store.OpDelete, name.id, number, err)
		}
		if ref != 0 {
			needed = min(needed, ref)
		}
		if needed <= oldest {
			return 0, nil
		}
	}
	stands, _ := baseID(name.writer, name.id) // where it was listed
	if err := d.inner.Delete(ctx, stands, needed-1); err != nil {
		return 0, removalError(store.OpDelete, name.id, 0, err)
	}
	unused := slices.DeleteFunc(slices.Clone(bases), func(n uint64) bool { return n >= needed })
	return len(unused), nil
}
