package encrypt

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/snapstack/snapstack/store"
)

// RewrapProgress says how far a Rewrap has come.
type RewrapProgress struct {
	PersistenceID string // the id at hand
	Current       int64  // snapshots that were as the options and the active key want them
	Rewrapped     int64  // snapshots saved anew
	Gone          int64  // listed, but deleted before they were read

	// Left is how many snapshots could not be saved anew, by the number of their key: 0
	// where they have none, or where it can't be read.
	Left map[uint32]int64
}

// Rewrap saves every snapshot anew that is not sealed, or signed, as s is told to, under
// its active key, with the same number and timestamp. It needs a Lister beneath. What
// can't be opened stays as it is and is counted in Left; Rewrap goes on, and returns the
// first error at its end. It can be repeated, and ended by ctx, at any point.
//
// Progress is called after every snapshot, from the goroutine that called Rewrap; nil
// means nobody is told.
//
// Saves and Deletes of an id through s wait while one of its snapshots is saved anew, so
// none is undone. A process that writes to the same backend through a store of its own
// is not held up: where it saves or deletes a snapshot between Rewrap's load and save of
// that, Rewrap brings the old one back. So rewrap in the process that writes, or at a
// time when others do not.
func Rewrap(ctx context.Context, s *Store, progress func(RewrapProgress)) (RewrapProgress, error) {
	p := RewrapProgress{Left: make(map[uint32]int64)}
	var first error
	for info, err := range store.List(ctx, s.inner, "") {
		if err != nil {
			return p, err
		}
		p.PersistenceID = info.PersistenceID
		key, err := s.rewrap(ctx, info.PersistenceID, info.SequenceNr, &p)
		switch {
		case ctx.Err() != nil && err != nil:
			return p, store.Wrap(store.OpSave, info.PersistenceID, info.SequenceNr, err)
		case errors.Is(err, store.ErrClosed):
			return p, err
		case err != nil:
			p.Left[key]++
			if first == nil {
				first = store.Wrap(store.OpSave, info.PersistenceID, info.SequenceNr, fmt.Errorf("encrypt: rewrap: %w", err))
			}
		}
		if progress != nil {
			progress(p)
		}
	}
	return p, first
}

// rewrap saves the snapshot anew, if need be. With an error it returns the number of the
// key that it is under.
func (s *Store) rewrap(ctx context.Context, id string, nr uint64, p *RewrapProgress) (key uint32, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return 0, err
	}
	defer s.gate.Leave()
	// Alone with the id: else a Save of the same number that came between the load and
	// the save would be overwritten with what was there before, and a Delete be undone.
	unlock, err := s.lock(ctx, id, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	defer unlock()
	snap, err := s.inner.LoadBefore(ctx, id, nr+1)
	if errors.Is(err, store.ErrNotFound) || err == nil && snap.SequenceNr != nr {
		p.Gone++
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	keys := s.keys.Load()
	if isBlob(snap.State) {
		h, err := parseHeader(snap.State)
		if err != nil {
			return 0, err
		}
		key = h.key
		if h.key == keys.active && h.mode == s.opts.Mode {
			// Whether it is authentic a load will tell.
			p.Current++
			return key, nil
		}
	}
	if snap.State, err = s.open(snap, inPlace); err != nil {
		return key, err
	}
	if snap.State, err = keys.encode(make([]byte, 0, maxBlob(len(snap.State))), snap, s.opts.Mode, s.opts.Rand); err != nil {
		return key, err
	}
	if err := s.inner.Save(ctx, snap); err != nil {
		return key, err
	}
	p.Rewrapped++
	return key, nil
}
