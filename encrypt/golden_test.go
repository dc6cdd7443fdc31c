package encrypt_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/snapstack/snapstack/encrypt"
	"github.com/snapstack/snapstack/store"
)

var update = flag.Bool("update", false, "write the golden files of the current version")

// fixedRand gives the bytes 1, 2, 3 and so on.
type fixedRand struct{}

func (fixedRand) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i + 1)
	}
	return len(b), nil
}

// TestGolden pins the format: later versions must read these files.
func TestGolden(t *testing.T) {
	for name, c := range map[string]struct {
		mode  encrypt.Mode
		state string
	}{
		"v1-sealed":       {encrypt.Seal, "the state of order-1"},
		"v1-sealed-empty": {encrypt.Seal, ""},
		"v1-signed":       {encrypt.Sign, "the state of order-1"},
		"v1-signed-empty": {encrypt.Sign, ""},
	} {
		inner := newMemory(t, 0)
		opts := options(1, 258)
		opts.Mode, opts.Rand = c.mode, fixedRand{}
		s := mustNew(t, inner, opts)
		snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: 7, Timestamp: time.UnixMilli(1767225600123), State: []byte(c.state)}
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".bin")
		got := stored(t, inner, "order-1").State
		if *update {
			if err := os.WriteFile(path, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, golden) {
			t.Errorf("%s: written is\n%x; want\n%x", name, got, golden)
		}
		snap.State = golden
		if err := inner.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
		wantState(t, s, "order-1", c.state)
	}
}
