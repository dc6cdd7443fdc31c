package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/stack"
)

// get is the command of that name.
func get(ctx context.Context, in arguments) (err error) {
	id := in.positional[1]
	var nr uint64
	if in.seq != "" {
		if nr, err = sequenceNr("get", in.seq); err != nil {
			return err
		}
	}
	var change func(stack.Layer) []stack.Layer
	if in.seq != "" {
		change = noFallback // it is this one that is asked for
	}
	s, err := openExisting(ctx, in.positional[0], change)
	if err != nil {
		return err
	}
	defer func() { err = closing(s, err) }()
	var snap store.Snapshot
	if in.seq == "" {
		snap, err = s.LoadLatest(ctx, id)
	} else {
		snap, err = loadAt(ctx, s, id, nr)
	}
	if err != nil {
		return err
	}
	if in.output == "" {
		_, err = in.stdout.Write(snap.State)
		return err
	}
	return os.WriteFile(in.output, snap.State, 0o666)
}

// put is the command of that name.
func put(ctx context.Context, in arguments) (err error) {
	snap := store.Snapshot{PersistenceID: in.positional[1]}
	if snap.SequenceNr, err = sequenceNr("put", in.positional[2]); err != nil {
		return err
	}
	if in.time != "" {
		if snap.Timestamp, err = time.Parse(time.RFC3339, in.time); err != nil {
			return usagef("put: -time %q; allowed is a time as 2006-01-02T15:04:05Z", in.time)
		}
	}
	if err := store.CheckSave(snap); err != nil {
		return usagef("put: %v", err)
	}
	// The state is read before anything is opened: it may not be there.
	if len(in.positional) > 3 && in.positional[3] != "-" {
		snap.State, err = os.ReadFile(in.positional[3])
	} else {
		snap.State, err = io.ReadAll(in.stdin)
	}
	if err != nil {
		return err
	}
	s, _, err := open(ctx, in.positional[0])
	if err != nil {
		return err
	}
	return closing(s, s.Save(ctx, snap))
}

// remove is the command rm.
func remove(ctx context.Context, in arguments) (err error) {
	to := uint64(math.MaxUint64)
	if in.positional[2] != "all" {
		if to, err = sequenceNr("rm", in.positional[2]); err != nil {
			return err
		}
	}
	s, err := openExisting(ctx, in.positional[0], nil)
	if err != nil {
		return err
	}
	return closing(s, s.Delete(ctx, in.positional[1], to))
}

func sequenceNr(command, text string) (uint64, error) {
	nr, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, usagef("%s: sequence number %q; allowed are whole numbers from 0 to %d", command, text, int64(math.MaxInt64))
	}
	return nr, nil
}

// loadAt returns the snapshot at the sequence number, or an error matching
// store.ErrNotFound.
func loadAt(ctx context.Context, s store.SnapshotStore, id string, nr uint64) (store.Snapshot, error) {
	snap, err := s.LoadBefore(ctx, id, nr+1)
	if err == nil && snap.SequenceNr != nr {
		return store.Snapshot{}, store.Wrap(store.OpLoadBefore, id, nr, fmt.Errorf("%w at %d; the newest below is %d", store.ErrNotFound, nr, snap.SequenceNr))
	}
	return snap, err
}
