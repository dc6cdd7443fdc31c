package main

import (
	"context"
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
	err = store.Copy(ctx, dst, src, store.CopyOptions{Parallel: in.parallel, Resume: in.resume, Progress: func(p store.CopyProgress) {
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
