package objectstore

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/snapstack/snapstack/store"
)

// FuzzDecode gives any bytes as an object. What it accepts must be, to the byte, what
// encode makes of the snapshot that it returns: no two objects are the same snapshot.
func FuzzDecode(f *testing.F) {
	f.Add(encode(pinned), pinned.PersistenceID, pinned.SequenceNr)
	f.Add(encode(pinned), "order/8", pinned.SequenceNr)
	f.Add(encode(pinned)[:50], pinned.PersistenceID, pinned.SequenceNr)
	f.Add(encode(store.Snapshot{PersistenceID: "a", Timestamp: time.UnixMilli(math.MinInt64)}), "a", uint64(0))
	f.Add([]byte{}, "", uint64(0))
	f.Fuzz(func(t *testing.T, object []byte, id string, nr uint64) {
		snap, err := decode(object, id, nr)
		if err != nil {
			if snap.State != nil || !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("decode gives %q, %v; want ErrCorrupt or ErrUnsupported and no state", snap.State, err)
			}
			return
		}
		if snap.PersistenceID != id || snap.SequenceNr != nr {
			t.Errorf("decode gives %q at %d; want %q at %d", snap.PersistenceID, snap.SequenceNr, id, nr)
		}
		if again := encode(snap); !bytes.Equal(again, object) {
			t.Errorf("decode accepts\n%x\nwhich encode writes as\n%x", object, again)
		}
	})
}

// FuzzEnvelope saves any snapshot, loads it again, and damages one byte of the object:
// it adds flip to the one at the place, or cuts the object off there where flip is 0.
func FuzzEnvelope(f *testing.F) {
	f.Add("order-7", uint64(7), int64(1_700_000_000_000), []byte("state"), uint(50), byte(1))
	f.Add("é/..", uint64(math.MaxInt64), int64(-1), []byte{}, uint(0), byte(0))
	f.Add(strings.Repeat("x", store.MaxIDBytes), uint64(0), int64(math.MaxInt64), []byte{0}, uint(12), byte(255))
	f.Fuzz(func(t *testing.T, id string, nr uint64, milli int64, state []byte, at uint, flip byte) {
		snap := store.Snapshot{PersistenceID: id, SequenceNr: nr, Timestamp: time.UnixMilli(milli).UTC(), State: state}
		if store.CheckSave(snap) != nil {
			t.Skip("not to be saved")
		}
		object := encode(snap)
		got, err := decode(object, id, nr)
		if err != nil || got.PersistenceID != id || got.SequenceNr != nr || !got.Timestamp.Equal(snap.Timestamp) || !bytes.Equal(got.State, state) {
			t.Fatalf("decode gives %+v, %v; want %+v", got, err, snap)
		}
		at %= uint(len(object))
		if flip == 0 {
			object = object[:at]
		} else {
			object[at] += flip
		}
		if got, err := decode(object, id, nr); !errors.Is(err, store.ErrCorrupt) || got.State != nil {
			t.Errorf("decode of an object that is damaged at %d = %+v, %v; want ErrCorrupt", at, got, err)
		}
	})
}

// FuzzEscape escapes any two ids.
func FuzzEscape(f *testing.F) {
	f.Add("a", "a/b")
	f.Add("a_2fb", "a/b")
	f.Add("A", "a")
	f.Add("..", "_2e_2e")
	f.Add("_h84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed", strings.Repeat("x", 201))
	f.Add(strings.Repeat("é", 33)+"xx", strings.Repeat("é", 34))
	f.Fuzz(func(t *testing.T, a, b string) {
		if store.CheckID(a) != nil || store.CheckID(b) != nil {
			t.Skip("no id")
		}
		of := map[string]string{}
		for _, id := range []string{a, b} {
			escaped := escape(id)
			if len(escaped) > 200 || strings.Trim(escaped, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" || !isSegment(escaped) {
				t.Fatalf("escape(%q) = %q; want up to 200 of a-z, 0-9, _ and -", id, escaped)
			}
			if other, found := of[escaped]; found && other != id {
				t.Fatalf("%q and %q share the escape %q", other, id, escaped)
			}
			of[escaped] = id
			got, hashed, ok := unescape(escaped)
			if !ok || !hashed && got != id || hashed && len(escaped) != len(hashMark)+64 {
				t.Fatalf("unescape(%q) = %q, %v, %v; want %q", escaped, got, hashed, ok, id)
			}
		}
	})
}

// FuzzUnescape gives any segment of a key: what unescape takes for an id comes out of
// escape again, and what it does not, does not.
func FuzzUnescape(f *testing.F) {
	for _, segment := range []string{"order-7", "_4frder_2f7", "__", "_", "_61", "_C3_A9", "_h" + strings.Repeat("0", 64), "_h", "A", "", strings.Repeat("x", 201)} {
		f.Add(segment)
	}
	f.Fuzz(func(t *testing.T, segment string) {
		id, hashed, ok := unescape(segment)
		if ok && !hashed && (store.CheckID(id) != nil || escape(id) != segment) {
			t.Errorf("unescape(%q) = %q, whose escape is %q", segment, id, escape(id))
		}
		if !ok && id != "" || hashed && id != "" {
			t.Errorf("unescape(%q) = %q, %v, %v; want no id", segment, id, hashed, ok)
		}
	})
}
