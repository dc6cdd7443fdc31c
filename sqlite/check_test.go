package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/store"
)

func TestCheckFindsNothingWrong(t *testing.T) {
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			saveLarge(t, s, 8)
			if err := s.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCheckNamesTheRow has rows that no load gives back, or that only a damage can have
// made.
func TestCheckNamesTheRow(t *testing.T) {
	for row, c := range map[string]struct {
		id   string
		nr   uint64
		says string
	}{
		"'order-1', 7, 42, 0":                  {"order-1", 7, "storage class integer"},
		"'order-1', 7, X'00', 'x'":             {"order-1", 7, "its timestamp"},
		"'order-1', -1, X'00', 0":              {"order-1", 0, "sequence number"},
		"'order-1', 1.5, X'00', 0":             {"order-1", 0, "sequence number"},
		"'', 1, X'00', 0":                      {"", 0, "the id"},
		"X'61', 1, X'00', 0":                   {"", 0, "the id"},
		"CAST(X'61FF' AS TEXT), 1, X'00', 0":   {"", 0, "the id"},
		"CAST(X'610062' AS TEXT), 1, X'00', 0": {"", 0, "the id"},
	} {
		for name, open := range ways {
			if name == "Memory" {
				continue // has one connection, and that is the store's
			}
			s := open(t)
			saveLarge(t, s, 1)
			if _, err := dbOf(s).Exec("INSERT INTO snapshots VALUES (" + row + ")"); err != nil {
				t.Fatal(err)
			}
			err := s.Check(t.Context())
			var named *store.Error
			if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.Op != store.OpCheck ||
				named.PersistenceID != c.id || named.SequenceNr != c.nr || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: Check of a row of %s: %v; want ErrCorrupt of %q at %d that says %s", name, row, err, c.id, c.nr, c.says)
			}
		}
	}
}

// TestCheckFindsDamage overwrites pages of the file, one after the other, so that none
// of them is left out.
func TestCheckFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	s, err := Open(t.Context(), path, Options{PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for nr := range uint64(40) {
		if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: nr, State: mib[:3000]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := 1; page < len(good)/4096; page++ {
		damaged := bytes.Clone(good)
		copy(damaged[page*4096:], bytes.Repeat([]byte{0xff}, 4096))
		path := filepath.Join(t.TempDir(), "damaged.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			continue // found already
		}
		var named *store.Error
		if err := s.Check(t.Context()); !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &named) || named.Op != store.OpCheck {
			t.Errorf("Check of a file whose page %d is damaged: %v; want ErrCorrupt", page+1, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
