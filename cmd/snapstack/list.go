package main

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/snapstack/snapstack/store"
)

// list is the command ls.
func list(ctx context.Context, in arguments) (err error) {
	id := ""
	if len(in.positional) > 1 {
		id = in.positional[1]
		if err := store.CheckID(id); err != nil {
			return usagef("ls: %v", err)
		}
	}
	s, err := openExisting(ctx, in.positional[0], nil)
	if err != nil {
		return err
	}
	defer func() { err = closing(s, err) }()
	out := bufio.NewWriter(in.stdout)
	for info, err := range store.List(ctx, s, id) {
		if err == nil {
			_, err = fmt.Fprintf(out, "%d\t%d\t%s\n", info.SequenceNr, info.StoredBytes, readable(info.PersistenceID))
		}
		if err != nil {
			_ = out.Flush() // what was listed until the error; that one says more
			return err
		}
	}
	return out.Flush()
}

// stat is the command of that name.
func stat(ctx context.Context, in arguments) (err error) {
	s, err := openExisting(ctx, in.positional[0], nil)
	if err != nil {
		return err
	}
	defer func() { err = closing(s, err) }()
	var ids, snapshots, bytes int64
	var largest store.Info
	last := ""
	for info, err := range store.List(ctx, s, "") {
		if err != nil {
			return err
		}
		if info.PersistenceID != last {
			ids++
			last = info.PersistenceID
		}
		snapshots++
		bytes += info.StoredBytes
		if info.StoredBytes >= largest.StoredBytes {
			largest = info
		}
	}
	out := tabwriter.NewWriter(in.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "ids\t%s\n", humanize.Comma(ids))
	fmt.Fprintf(out, "snapshots\t%s\n", humanize.Comma(snapshots))
	fmt.Fprintf(out, "stored\t%s bytes (%s)\n", humanize.Comma(bytes), humanize.IBytes(uint64(bytes)))
	if snapshots > 0 {
		fmt.Fprintf(out, "mean\t%s\n", humanize.IBytes(uint64(bytes/snapshots)))
		fmt.Fprintf(out, "largest\t%s (%s at %d)\n", humanize.IBytes(uint64(largest.StoredBytes)), readable(largest.PersistenceID), largest.SequenceNr)
	}
	return out.Flush() // also returns what a Fprintf failed with
}

// readable returns the id, as a Go string where it would not stand in a line as it is.
func readable(id string) string {
	if quoted := strconv.Quote(id); quoted != `"`+id+`"` {
		return quoted
	}
	return id
}

// counted returns n with its noun.
func counted(n int64) string {
	return humanize.Comma(n) + " " + english.PluralWord(int(n), "snapshot", "")
}
