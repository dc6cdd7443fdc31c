package compress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/snapstack/snapstack/store"
)

const (
	// baseUse is for how long a base is used for new differences. What is older by more
	// than sweepAge is used by nobody, unless a clock is off by a day.
	baseUse = 7 * 24 * time.Hour

	// maxSkip is how many saves at most are stored whole after bases that were of no
	// use.
	maxSkip = 64
)

// write saves a snapshot as what it is best saved as. The caller has the turn of the
// head.
func (d *Delta) write(ctx context.Context, h *head, snap store.Snapshot) error {
	if len(snap.State) < d.opts.MinBytes || len(snap.State) == 0 {
		return d.writeWhole(ctx, h, snap)
	}
	if !h.known {
		if err := d.recall(ctx, h); err != nil {
			return err
		}
	}
	if b := h.writing.Load(); b != nil && h.differences < d.opts.MaxDeltas && d.opts.Now().Sub(b.name.made()) < baseUse {
		diff, ok := b.blocks().differ(snap.State, int(d.opts.MaxShare*float64(len(snap.State))))
		if ok {
			h.misses = 0
			return d.writeDifference(ctx, h, snap, xxhash.Sum64(snap.State), b, diff)
		}
		if h.differences == 0 {
			// Nothing is left of a state by the time the next comes. Every base would be
			// written for nothing, so that they become rare: each costs one more Save.
			h.misses = min(h.misses+1, 8)
			h.skip = min(1<<h.misses, maxSkip)
		}
		h.writing.Store(nil)
	}
	if h.skip > 0 {
		h.skip--
		return d.writeWhole(ctx, h, snap)
	}
	if _, ok := d.basesOf(h); !ok {
		return d.writeWhole(ctx, h, snap)
	}
	return d.writeBase(ctx, h, snap)
}

// basesOf returns the id of our bases of an id, or false where it has none.
func (d *Delta) basesOf(h *head) (stands string, ok bool) {
	stands, ok = baseID(d.opts.Writer, h.id)
	return stands, ok && !h.refused
}

// writeWhole saves a snapshot with all of its state.
func (d *Delta) writeWhole(ctx context.Context, h *head, snap store.Snapshot) error {
	buffer := d.buffers.get(maxRecordHead + len(snap.State) + recordTrailer)
	defer d.buffers.put(buffer)
	err := d.put(ctx, h, snap, appendWhole((*buffer)[:0], recordWhole, snap.State), 0)
	if err == nil {
		d.stats.whole.Add(1)
	}
	return err
}

// writeDifference saves a snapshot as its difference from a base of ours.
func (d *Delta) writeDifference(ctx context.Context, h *head, snap store.Snapshot, sum uint64, b *base, diff difference) error {
	buffer := d.buffers.get(maxRecordHead + maxWriterBytes + 64 + len(diff.steps) + len(diff.literals) + recordTrailer)
	defer d.buffers.put(buffer)
	err := d.put(ctx, h, snap, appendDifference((*buffer)[:0], len(snap.State), sum, b.name, diff), b.name.number)
	if err == nil {
		h.differences++
		d.stats.differences.Add(1)
	}
	return err
}

// writeBase saves a new base with the state of a snapshot, and the snapshot as no
// difference from it. The base first: a snapshot that is there has its base.
func (d *Delta) writeBase(ctx context.Context, h *head, snap store.Snapshot) error {
	b := &base{content: bytes.Clone(snap.State)} // the caller's is not kept
	b.name = baseName{writer: d.opts.Writer, number: d.nextBase(), sum: xxhash.Sum64(b.content)}
	stands, _ := d.basesOf(h)
	buffer := d.buffers.get(maxRecordHead + len(b.content) + recordTrailer)
	record := appendWhole((*buffer)[:0], recordBase, b.content)
	err := d.inner.Save(ctx, store.Snapshot{PersistenceID: stands, SequenceNr: b.name.number, Timestamp: d.opts.Now(), State: record})
	d.buffers.put(buffer)
	if errors.Is(err, store.ErrInvalid) {
		// The store beneath takes the snapshot's id, but not that of its bases, being a
		// Route without a store for it, or a Delta to which it is too long.
		h.refused = true
		return d.writeWhole(ctx, h, snap)
	}
	if h.basesKnown {
		h.bases = append(h.bases, b.name.number) // also where it is not known whether it is there
	}
	if err != nil {
		return fmt.Errorf("its base: %w", cause(err))
	}
	d.stats.bases.Add(1)
	d.stats.storedBytes.Add(int64(len(record)))
	h.writing.Store(b)
	h.differences = 0
	var diff difference
	diff.step(stretch{to: len(b.content)}, 0)
	err = d.writeDifference(ctx, h, snap, b.name.sum, b, diff)
	h.differences = 0 // this one says nothing of the base
	return err
}

// put saves the record of a snapshot that refers to the base of that number, or to none
// where it is 0.
func (d *Delta) put(ctx context.Context, h *head, snap store.Snapshot, record []byte, base uint64) error {
	size := len(snap.State)
	snap.PersistenceID = storedID(h.id)
	snap.State = record
	err := d.inner.Save(ctx, snap)
	if old := h.refs[snap.SequenceNr]; old != 0 && old != base {
		h.freed = true
	}
	if err != nil {
		delete(h.refs, snap.SequenceNr)
		if base != 0 && unknownOutcome(err) {
			d.heads.pin(h.id, base, d.opts.Now())
		}
		return named(err, store.OpSave, h.id)
	}
	d.remember(h, snap.SequenceNr, base)
	d.stats.stateBytes.Add(int64(size))
	d.stats.storedBytes.Add(int64(len(record)))
	return nil
}

// recall finds out, once, which bases of the id there are already, and which of them the
// newest snapshot is from. Only this Delta itself, or a writer with a name, can have made
// them before.
func (d *Delta) recall(ctx context.Context, h *head) error {
	if h.former.base.number != 0 {
		// Where it can't be had a new one is made: the Save says by itself whether the store
		// fails.
		if b, err := d.baseOf(ctx, h.id, h.former.base); err == nil {
			h.writing.Store(b)
			h.differences = h.former.differences
		}
		h.former = former{}
	} else if stands, ok := d.basesOf(h); d.named && ok {
		newest, err := d.newestBase(ctx, stands)
		if errors.Is(err, store.ErrInvalid) {
			h.refused = true // as in writeBase
			return nil
		}
		if err != nil {
			return fmt.Errorf("its bases: %w", cause(err))
		}
		// A base is never replaced, not even where the clock was put back since.
		for last := d.lastBase.Load(); last < newest && !d.lastBase.CompareAndSwap(last, newest); {
			last = d.lastBase.Load()
		}
		h.writing.Store(d.recalled(ctx, h))
	}
	h.known = true
	return nil
}

// newestBase returns the greatest number of the bases that stand under an id; 0 where there
// are none.
func (d *Delta) newestBase(ctx context.Context, stands string) (uint64, error) {
	for info, err := range store.List(ctx, d.inner, stands) {
		if !errors.Is(err, errors.ErrUnsupported) {
			return info.SequenceNr, err // they are listed newest first
		}
		snap, err := d.inner.LoadLatest(ctx, stands)
		if errors.Is(err, store.ErrNotFound) {
			return 0, nil
		}
		return snap.SequenceNr, err
	}
	return 0, nil
}

// recalled returns the base that the newest snapshot is from, if it is one of ours. Where
// that can't be told there is none at hand, and a new one is made: nothing is lost, and the
// Save says by itself whether the store fails.
func (d *Delta) recalled(ctx context.Context, h *head) *base {
	snap, err := d.inner.LoadLatest(ctx, storedID(h.id))
	if err != nil || !isRecord(snap.State) {
		return nil
	}
	r, err := d.parse(snap.State)
	if err != nil || r.kind != recordDifference || r.base.writer != d.opts.Writer {
		return nil
	}
	b, err := d.baseOf(ctx, h.id, r.base)
	if err != nil {
		return nil
	}
	// It was there while we have the turn, and who does not have it removes none of ours.
	return b
}

// nextBase returns the number of a new base: milliseconds since 1970 and twenty bits
// that tell those of one millisecond apart. No two of one Delta are the same.
func (d *Delta) nextBase() uint64 {
	now := uint64(max(d.opts.Now().UnixMilli(), 1)) << 20
	for {
		last := d.lastBase.Load()
		next := max(now, last+1)
		if d.lastBase.CompareAndSwap(last, next) {
			return next
		}
	}
}

// made returns when a base was made, by the clock of its writer.
func (n baseName) made() time.Time { return time.UnixMilli(int64(n.number >> 20)) }

// prune obeys Keep after a Save of that number, and removes the bases that nobody needs
// any more. The caller has the turn of the head.
func (d *Delta) prune(ctx context.Context, h *head, number uint64) {
	var err error
	switch {
	case d.opts.Keep > 0:
		err = d.pruneTo(ctx, h, number)
	case h.freed:
		err = d.removeBases(ctx, h, d.maxUnread())
	}
	if err != nil {
		d.opts.OnPruneError(removalError(store.OpPrune, h.id, number, err))
		return
	}
	h.freed = false
}

// removalError returns the error of a removal that was to go up to that number. Where it is
// a snapshot that is corrupt, its number stands in the place of that.
func removalError(op, id string, number uint64, err error) error {
	var e *store.Error
	if errors.Is(err, store.ErrCorrupt) && errors.As(err, &e) {
		number = e.SequenceNr
	}
	return &store.Error{Op: op, PersistenceID: id, SequenceNr: number, Err: cause(err)}
}

func (d *Delta) pruneTo(ctx context.Context, h *head, number uint64) error {
	numbers, err := d.numbers(ctx, storedID(h.id))
	if err != nil {
		return err
	}
	// They are listed newest first.
	first := slices.IndexFunc(numbers, func(n uint64) bool { return n <= number })
	if first >= 0 && len(numbers)-first > d.opts.Keep {
		end := first + d.opts.Keep
		if err := d.inner.Delete(ctx, storedID(h.id), numbers[end]); err != nil {
			return err
		}
		for _, gone := range numbers[end:] {
			delete(h.refs, gone)
		}
		numbers = numbers[:end]
		h.freed = true
	}
	if !h.freed && h.basesKnown {
		return nil
	}
	return d.removeUnused(ctx, h, numbers, d.maxUnread())
}

// removeBases removes the bases of ours that no snapshot of the id needs any more, unless
// it takes reading more than most snapshots to know. The caller has the turn of the head.
func (d *Delta) removeBases(ctx context.Context, h *head, most int) error {
	if _, ok := d.basesOf(h); !ok {
		return nil
	}
	numbers, err := d.numbers(ctx, storedID(h.id))
	if errors.Is(err, errors.ErrUnsupported) {
		return nil // which bases are needed can't be told: they stay
	}
	if err != nil {
		return err
	}
	return d.removeUnused(ctx, h, numbers, most)
}

// removeUnused is removeBases where the numbers of the snapshots are known, newest first.
func (d *Delta) removeUnused(ctx context.Context, h *head, numbers []uint64, most int) error {
	stands, ok := d.basesOf(h)
	if !ok {
		return nil
	}
	if !h.basesKnown {
		bases, err := d.numbers(ctx, stands)
		if errors.Is(err, store.ErrInvalid) {
			h.refused = true // as in writeBase
			return nil
		}
		if err != nil {
			return err
		}
		slices.Reverse(bases)
		h.bases, h.basesKnown = bases, true
	}
	if len(h.bases) == 0 {
		return nil
	}
	needed := uint64(math.MaxUint64) // the least number of a base that is
	if b := h.writing.Load(); b != nil && len(numbers) > 0 {
		needed = b.name.number
	} else if number := h.former.base.number; number != 0 && len(numbers) > 0 {
		needed = number
	}
	if pinned, ok := d.heads.pinned(h.id, d.opts.Now()); ok {
		needed = min(needed, pinned)
	}
	unread := 0
	for _, number := range slices.Backward(numbers) { // where the oldest needs the oldest, no more are looked at
		if needed <= h.bases[0] {
			return nil // all of them
		}
		ref, known := h.refs[number]
		if !known {
			if unread++; unread > most {
				return nil // a later call goes on from here, or Sweep does it
			}
			var err error
			if ref, err = d.refOf(ctx, h, number); err != nil {
				return err
			}
		}
		if ref != 0 {
			needed = min(needed, ref)
		}
	}
	if needed <= h.bases[0] {
		return nil
	}
	if b := h.writing.Load(); b != nil && b.name.number < needed {
		h.writing.Store(nil)
	}
	if h.former.base.number < needed {
		h.former = former{}
	}
	// Not all there may ever be: where this fails it may come to be done late, and must not
	// meet the bases that are made until then.
	bound := min(needed-1, h.bases[len(h.bases)-1])
	if err := d.inner.Delete(ctx, stands, bound); err != nil {
		return err
	}
	h.bases = slices.DeleteFunc(h.bases, func(n uint64) bool { return n <= bound })
	return nil
}

// maxUnread returns how many snapshots a Save or Delete reads at most to find out which
// bases they need: all that Keep leaves, and otherwise not thousands.
func (d *Delta) maxUnread() int { return max(64, d.opts.Keep) }

// refOf reads which base of ours a snapshot needs; 0 for none.
func (d *Delta) refOf(ctx context.Context, h *head, number uint64) (uint64, error) {
	ref, err := d.refTo(ctx, storedName{id: h.id, writer: d.opts.Writer}, number)
	if err != nil {
		return 0, err
	}
	d.remember(h, number, ref)
	return ref, nil
}

// remember notes which base of ours a snapshot needs, 0 for none.
func (d *Delta) remember(h *head, number, base uint64) {
	if h.refs == nil || len(h.refs) > max(maxRefs, d.opts.Keep) {
		h.refs = make(map[uint64]uint64) // what is not in it is read when it is needed
	}
	h.refs[number] = base
}

// maxRefs is of how many snapshots of an id a head remembers the base, if Keep is not more.
const maxRefs = 1024

// refTo reads which base of a writer a snapshot needs; 0 for none. Where the snapshot is
// corrupt that can't be told, and is an error.
func (d *Delta) refTo(ctx context.Context, name storedName, number uint64) (uint64, error) {
	snap, err := d.inner.LoadBefore(ctx, storedID(name.id), number+1)
	if errors.Is(err, store.ErrNotFound) || err == nil && snap.SequenceNr != number {
		return 0, nil // another process has deleted it
	}
	if err != nil || !isRecord(snap.State) {
		return 0, err
	}
	r, err := parseRecord(snap.State, math.MaxInt64) // its state is not looked at, and may be over MaxStateBytes
	if err != nil {
		return 0, store.Wrap(store.OpLoadBefore, name.id, number, err)
	}
	if r.kind != recordDifference || r.base.writer != name.writer {
		return 0, nil
	}
	return r.base.number, nil
}

// undecided says whether a removal of bases failed since a snapshot can't tell which base
// it needs, being damaged or in a format of a later version.
func undecided(err error) bool {
	return errors.Is(err, store.ErrCorrupt) || errors.Is(err, errors.ErrUnsupported)
}

// numbers returns those of the snapshots of an id of the inner store, newest first.
func (d *Delta) numbers(ctx context.Context, stored string) ([]uint64, error) {
	var numbers []uint64
	for info, err := range store.List(ctx, d.inner, stored) {
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, info.SequenceNr)
	}
	return numbers, nil
}
