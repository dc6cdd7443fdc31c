package main

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/sqlite"
	"github.com/snapstack/snapstack/store"
)

// Every run of a Delta without a name leaves its last bases behind.
func TestSweepRemovesWhatNoSnapshotNeeds(t *testing.T) {
	path := file(t)
	state := bytes.Repeat([]byte("state "), 1000)
	save := func(nr uint64, at time.Time) {
		t.Helper()
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := compress.NewDelta(db, compress.DeltaOptions{MinBytes: 1, Keep: 1, Now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"order-1", "order-2"} {
			if err := d.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: state}); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-30 * 24 * time.Hour)
	save(1, long)
	save(2, long.Add(time.Hour))
	save(3, time.Now())

	// Of the bases of three runs the last is needed; that of the second is as old as the first's.
	sh := shell{t: t}
	inner := sqliteAt(path)
	for text, want := range map[string]string{
		"zstd | " + inner: "wrong command line: sweep: the stack has no delta",
		"memory":          "wrong command line: sweep: the stack has no delta",
	} {
		sh.fails(exitUsage, want, "sweep", text)
	}
	sh.want("removed 4 bases\n", "sweep", fmt.Sprintf(`cache | route(""=%q)`, "delta(writer=one) | "+inner))
	sh.want("removed 0 bases\n", "sweep", "delta | "+inner)
	sh.want("intact: 2 snapshots of 12 KiB\n", "verify", "delta | "+inner)

	sh.fails(exitFailed, "put and copy create it", "sweep", "delta | "+sqliteAt(file(t)))
}
