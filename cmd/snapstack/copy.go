package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/store"
)

// copyAll is the command copy.
func copyAll(ctx context.Context, in arguments) (err error) {
	src, err := openExisting(ctx, in.positional[0], nil)
	if err != nil {
		return fmt.Errorf("SRC: %w", err)
	}
	defer func() { err = closing(src, err) }()
	dst, spec, err := open(ctx, in.positional[1])
	if err != nil {
		return fmt.Errorf("DST: %w", err)
	}
	defer func() { err = closing(dst, err) }()

	bar := newProgress(in.stderr, "copied")
	var last store.CopyProgress
	err = store.Copy(ctx, dst, src, store.CopyOptions{Resume: in.resume, Progress: func(p store.CopyProgress) {
		last = p
		bar.update(p.Snapshots+p.Present, p.StateBytes)
	}})
	bar.end()
	report := fmt.Sprintf("copied %s of %s", counted(last.Snapshots), humanize.IBytes(uint64(last.StateBytes)))
	if last.Present > 0 {
		report += fmt.Sprintf("; DST had %s", counted(last.Present))
	}
	if last.Gone > 0 {
		report += fmt.Sprintf("; deleted from SRC meanwhile, or passed over by its fallback: %s", counted(last.Gone))
	}
	if _, printErr := fmt.Fprintln(in.stdout, report); err == nil {
		err = printErr
	}
	if err != nil || !in.verify {
		return err
	}
	return compare(ctx, in, src, dst, func(id string) int { return keep(spec, id) })
}

// compare reads every snapshot of src from both stores, and reports those that differ
// or are missing in dst. Where dst retains only so many of an id the older ones may be
// missing.
func compare(ctx context.Context, in arguments, src, dst store.SnapshotStore, keep func(id string) int) error {
	bar := newProgress(in.stderr, "verified")
	defer bar.end()
	var same, retired, wrong, corrupt, size int64
	// Of the id at hand: how many are in dst that are newer than the one at hand, and how many
	// dst retains.
	id, newer, retains := "", 0, 0
	for info, err := range store.List(ctx, src, "") {
		if err != nil {
			return err
		}
		if info.PersistenceID != id {
			id, newer, retains = info.PersistenceID, 0, keep(info.PersistenceID)
		}
		want, err := loadAt(ctx, src, id, info.SequenceNr)
		if errors.Is(err, store.ErrNotFound) {
			// Either it was deleted since it was listed, or a fallback of SRC passes over it.
			there, err := listed(ctx, src, id, info.SequenceNr)
			if err != nil {
				return fmt.Errorf("SRC: %w", err)
			}
			if there {
				corrupt++
				fmt.Fprintf(in.stdout, "corrupt in SRC\t%d\t%s\n", info.SequenceNr, readable(id)) // the exit status tells as well
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("SRC: %w", err)
		}
		got, err := loadAt(ctx, dst, id, info.SequenceNr)
		switch {
		case err == nil && bytes.Equal(got.State, want.State) && got.Timestamp.Equal(want.Timestamp):
			same++
			size += int64(len(want.State))
		case errors.Is(err, store.ErrNotFound) && retains > 0 && newer >= retains:
			retired++
		case err == nil:
			wrong++
			fmt.Fprintf(in.stdout, "differs\t%d\t%s\n", info.SequenceNr, readable(id)) // the exit status tells as well
		case errors.Is(err, store.ErrNotFound):
			wrong++
			fmt.Fprintf(in.stdout, "missing\t%d\t%s\n", info.SequenceNr, readable(id))
		default:
			return fmt.Errorf("DST: %w", err)
		}
		if err == nil {
			newer++
		}
		bar.update(same, size)
	}
	bar.end()
	report := fmt.Sprintf("verified %s of %s", counted(same), humanize.IBytes(uint64(size)))
	if retired > 0 {
		report += fmt.Sprintf("; older than DST keeps: %s", counted(retired))
	}
	if corrupt > 0 {
		report += fmt.Sprintf("; corrupt in SRC: %s", counted(corrupt))
	}
	if wrong > 0 {
		report += fmt.Sprintf("; differing or missing in DST: %s", counted(wrong))
	}
	if corrupt > 0 || wrong > 0 {
		return errors.New(report)
	}
	_, err := fmt.Fprintln(in.stdout, report)
	return err
}

// listed says whether s lists a snapshot at the sequence number.
func listed(ctx context.Context, s store.SnapshotStore, id string, nr uint64) (bool, error) {
	for info, err := range store.List(ctx, s, id) {
		if err != nil || info.SequenceNr == nr {
			return err == nil, err
		}
	}
	return false, nil
}
