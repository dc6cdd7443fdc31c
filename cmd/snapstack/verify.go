package main

import (
	"context"
	"errors"
	"fmt"

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
	var intact, corrupt, size int64
	for info, err := range store.List(ctx, s, id) {
		if err != nil {
			return err
		}
		snap, err := loadAt(ctx, s, info.PersistenceID, info.SequenceNr)
		switch {
		case err == nil:
			intact++
			size += int64(len(snap.State))
		case errors.Is(err, store.ErrNotFound): // deleted since it was listed
		case errors.Is(err, store.ErrCorrupt):
			corrupt++
			if _, err := fmt.Fprintf(in.stdout, "corrupt\t%d\t%s\t%v\n", info.SequenceNr, readable(info.PersistenceID), err); err != nil {
				return err
			}
		default:
			return err // says nothing about the snapshot: the store can't be reached, or a key is missing
		}
		bar.update(intact, size)
	}
	bar.end()
	report := fmt.Sprintf("intact: %s of %s", counted(intact), humanize.IBytes(uint64(size)))
	if corrupt > 0 {
		return fmt.Errorf("%s; corrupt: %s", report, counted(corrupt))
	}
	_, err = fmt.Fprintln(in.stdout, report)
	return err
}
