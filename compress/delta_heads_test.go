package compress

import (
	"fmt"
	"testing"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// What a Delta remembers of snapshots counts against CacheBytes like bases do.
func TestHeadsCountWhatTheyRemember(t *testing.T) {
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const limit = 100_000
	d, err := NewDelta(inner, DeltaOptions{CacheBytes: limit})
	if err != nil {
		t.Fatal(err)
	}
	for of := range 30 {
		for nr := range uint64(900) {
			if err := d.Save(t.Context(), store.Snapshot{PersistenceID: fmt.Sprint("id-", of), SequenceNr: nr}); err != nil {
				t.Fatal(err)
			}
		}
	}
	remembered := 0
	for _, h := range d.heads.byID {
		remembered += len(h.refs)
	}
	if remembered == 0 || remembered*refBytes > limit {
		t.Errorf("the bases of %d snapshots are remembered; want some, in %d bytes", remembered, limit)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
