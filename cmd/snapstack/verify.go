package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/store"
)

// verify is the command of that name.
func verify(ctx context.Context, in arguments) (err error) {
	id := ""
	if len(in.positional) > 1 {
		id = in.positional[1]
		if err := store.CheckID(id); err != nil {
			return usagef("verify: %v", err)
		}
	}
	s, err := openExisting(ctx, in.positional[0], noFallback)
	if err != nil {
		return err
	}
	defer func() { err = closing(s, err) }()
	bar := newProgress(in.stderr, "verified")
	defer bar.end()
	v := &verification{in: in, store: s, bar: bar}
	if err := eachID(ctx, in.parallel, s, id, v.visit); err != nil {
		return err
	}
	bar.end()
	report := fmt.Sprintf("intact: %s of %s", counted(v.intact), humanize.IBytes(uint64(v.size)))
	if v.corrupt > 0 {
		return fmt.Errorf("%s; corrupt: %s", report, counted(v.corrupt))
	}
	_, err = fmt.Fprintln(in.stdout, report)
	return err
}

// A verification is what reading every snapshot has found.
type verification struct {
	in    arguments
	store store.SnapshotStore
	bar   *progressLine

	mu                    sync.Mutex // of what is below, the bar and stdout
	intact, corrupt, size int64
}

// visit reads the snapshots of an id. Its error is one that says nothing about a snapshot:
// the store can't be reached, or a key is missing.
func (v *verification) visit(ctx context.Context, id string, numbers []uint64) error {
	for _, nr := range numbers {
		snap, err := loadAt(ctx, v.store, id, nr)
		if errors.Is(err, store.ErrNotFound) {
			continue // deleted since it was listed
		}
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			return err
		}
		if err := v.found(id, nr, snap, err); err != nil {
			return err
		}
	}
	return nil
}

// found counts a snapshot, which is corrupt where damage is not nil.
func (v *verification) found(id string, nr uint64, snap store.Snapshot, damage error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if damage != nil {
		v.corrupt++
		_, err := fmt.Fprintf(v.in.stdout, "corrupt\t%d\t%s\t%v\n", nr, readable(id), damage)
		return err
	}
	v.intact++
	v.size += int64(len(snap.State))
	v.bar.update(v.intact, v.size)
	return nil
}
