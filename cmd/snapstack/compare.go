package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/dustin/go-humanize"

	"github.com/snapstack/snapstack/store"
)

// compare reads every snapshot of src from both stores, and reports those that differ
// or are missing in dst. Where dst retains only so many of an id, as keep says, the older
// ones may be missing.
func compare(ctx context.Context, in arguments, src, dst store.SnapshotStore, keep func(id string) int) error {
	bar := newProgress(in.stderr, "verified")
	defer bar.end()
	c := &comparison{in: in, src: src, dst: dst, keep: keep, bar: bar, counts: make(map[finding]int64)}
	if err := eachID(ctx, in.parallel, src, "", c.visit); err != nil {
		return err
	}
	bar.end()
	report := fmt.Sprintf("verified %s of %s", counted(c.counts[same]), humanize.IBytes(uint64(c.size)))
	for _, rest := range []struct {
		f    finding
		says string
	}{
		{retired, "older than DST keeps"},
		{corrupt, "corrupt in SRC"},
		{differs, "differing in DST"},
		{missing, "missing in DST"},
	} {
		if c.counts[rest.f] > 0 {
			report += fmt.Sprintf("; %s: %s", rest.says, counted(c.counts[rest.f]))
		}
	}
	if c.counts[corrupt]+c.counts[differs]+c.counts[missing] > 0 {
		return errors.New(report)
	}
	_, err := fmt.Fprintln(in.stdout, report)
	return err
}

// A finding is what is found about a snapshot of src in dst.
type finding string

const (
	same    finding = "same"
	retired finding = "retired" // let go by dst, as it retains only so many
	corrupt finding = "corrupt in SRC"
	differs finding = "differs"
	missing finding = "missing"
	gone    finding = "gone" // from src, since it was listed
)

// A comparison is what comparing has found.
type comparison struct {
	in       arguments
	src, dst store.SnapshotStore
	keep     func(id string) int
	bar      *progressLine

	mu     sync.Mutex // of what is below, the bar and stdout
	counts map[finding]int64
	size   int64 // of those that are the same
}

// visit compares the snapshots of an id.
func (c *comparison) visit(ctx context.Context, id string, numbers []uint64) error {
	retains := c.keep(id)
	newer := 0 // how many are in dst that are newer than the one at hand
	for _, nr := range numbers {
		found, size, err := c.compareOne(ctx, id, nr)
		if err != nil {
			return err
		}
		switch {
		case found == same || found == differs:
			newer++
		case found == missing && retains > 0 && newer >= retains:
			found = retired
		}
		c.tell(id, nr, found, size)
	}
	return nil
}

// compareOne compares a snapshot, and returns the size of its state.
func (c *comparison) compareOne(ctx context.Context, id string, nr uint64) (finding, int64, error) {
	want, err := loadAt(ctx, c.src, id, nr)
	if errors.Is(err, store.ErrNotFound) {
		// Either it was deleted since it was listed, or a fallback of SRC passes over it.
		there, err := listed(ctx, c.src, id, nr)
		if err != nil {
			return "", 0, fmt.Errorf("SRC: %w", err)
		}
		if there {
			return corrupt, 0, nil
		}
		return gone, 0, nil
	}
	if err != nil {
		return "", 0, fmt.Errorf("SRC: %w", err)
	}
	size := int64(len(want.State))
	got, err := loadAt(ctx, c.dst, id, nr)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return missing, size, nil
	case err != nil:
		return "", 0, fmt.Errorf("DST: %w", err)
	case !bytes.Equal(got.State, want.State) || !got.Timestamp.Equal(want.Timestamp):
		return differs, size, nil
	}
	return same, size, nil
}

// tell counts a snapshot, and prints what is wrong about it.
func (c *comparison) tell(id string, nr uint64, found finding, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[found]++
	switch found {
	case same:
		c.size += size
	case corrupt, differs, missing:
		fmt.Fprintf(c.in.stdout, "%s\t%d\t%s\n", found, nr, readable(id)) // the exit status tells as well
	}
	c.bar.update(c.counts[same], c.size)
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
