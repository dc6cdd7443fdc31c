package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/snapstack/snapstack/store"
)

// hostileIDs are pairwise different ids that a careless escape, collation,
// normalisation, file system or listing by prefix takes for one another.
var hostileIDs = []string{
	"a", "A", "a/b", "a/", "/a", "a//b", "/", "//", "a%2Fb", "a%2fb", "a%252Fb", "a_b", "a-b", "a.b", "a b", "a  b", " a", "a ", "ab",
	".", "..", "...", "./a", "../a", "a/..", "a/../b", "../../etc/passwd", "~", "~/a", "-", "--", "_", "__", "_2f", "a_2fb", "a__b", "_41", "_h",
	"caf\u00e9", "cafe\u0301", "CAF\u00c9", "ß", "ss", "ſ", "s", "İ", "i", "I", "ı", "\u00c5", "\u212b", "A\u030a", "\ufeffa", "a\u200b", "日本", "🦀", "\U0010ffff",
	"a\n", "a\nb", "\n", "\r\n", "\t", "a\tb", "\x01", "\x7f", "\u0085", "\u2028",
	"'", "''", `"`, `""`, "`", `a"b`, "a'b", `\`, `\\`, "a\\b", `a\/b`, "'; DROP TABLE snapshots; --", "%", "%%", "*", "?", "[a]", "a?", "a*", ":memory:", "NULL", "null", "0", "00", "1", "1.0", "1e0",
	"con", "nul", "aux.txt", "a:b", "a|b", "a;b", "a,b", "a=b", "a&b", "a#b", "a+b", "$(a)", "{{a}}", "<a>",
	"7ffffffffffffff8", "a/7ffffffffffffff8", "snapshots", ".tmp", ".tmp-1", "tmp", "lost+found",
}

func hostileIDsNeverMeet(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	state := func(i int) string { return fmt.Sprintf("state of %d", i) }
	for i, id := range hostileIDs {
		mustSave(t, s, id, 7, state(i))
		mustSave(t, s, id, 8, state(i)+", later")
	}
	for i, id := range hostileIDs {
		wantLatest(t, s, id, 8, state(i)+", later")
		wantBefore(t, s, id, 8, 7, state(i))
		wantNoneBefore(t, s, id, 7)
	}
	// Deleting every second id leaves its neighbours alone.
	for i, id := range hostileIDs {
		if i%2 == 0 {
			mustDelete(t, s, id, math.MaxUint64)
		}
	}
	for i, id := range hostileIDs {
		if i%2 == 0 {
			wantNoLatest(t, s, id)
		} else {
			wantLatest(t, s, id, 8, state(i)+", later")
			wantNumbers(t, s, id, 8, 7)
		}
	}
}

func idsOfEveryLength(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	var ids []string
	for _, n := range []int{1, 2, 63, 64, 65, 99, 100, 101, 199, 200, 201, 254, 255, 256, 257, 511, 512, 1023, 1024} {
		for _, unit := range []string{"x", "X", "é", "/", "日"} {
			id := strings.Repeat(unit, n/len(unit)) + strings.Repeat("y", n%len(unit))
			ids = append(ids, id)
		}
		if n > 2 {
			// Differ in the last byte only: a truncated id would meet its neighbour.
			ids = append(ids, strings.Repeat("x", n-1)+"1", strings.Repeat("x", n-1)+"2")
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids) // of lengths below a unit's, several are the same
	for _, id := range ids {
		mustSave(t, s, id, 1, "state of "+id)
	}
	for _, id := range ids {
		wantLatest(t, s, id, 1, "state of "+id)
	}
	if canList(t, s) {
		wantListed(t, s, "", ids...)
	}
}

func sequenceNumbersToMaxInt64(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	numbers := []uint64{0, 1, 9, 10, 15, 16, 255, 256, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64}
	for _, nr := range numbers {
		mustSave(t, s, "order-1", nr, fmt.Sprint(nr))
		wantLatest(t, s, "order-1", nr, fmt.Sprint(nr))
	}
	for i, nr := range numbers {
		wantBefore(t, s, "order-1", nr+1, nr, fmt.Sprint(nr))
		if i > 0 {
			wantBefore(t, s, "order-1", nr, numbers[i-1], fmt.Sprint(numbers[i-1]))
		}
	}
	wantNoneBefore(t, s, "order-1", 0)
	mustDelete(t, s, "order-1", math.MaxInt64-1)
	wantNumbers(t, s, "order-1", math.MaxInt64)
	mustDelete(t, s, "order-1", math.MaxInt64)
	wantNoLatest(t, s, "order-1")

	for _, nr := range []uint64{math.MaxInt64 + 1, math.MaxUint64} {
		wantError(t, fmt.Sprintf("Save of number %d", nr), s.Save(t.Context(), snapshot("order-1", nr, "state")), store.ErrInvalid)
	}
	wantNoLatest(t, s, "order-1")
}

func invalidInputIsErrInvalid(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	mustSave(t, s, "order-1", 7, "seven")
	invalid := map[string]string{
		"empty":             "",
		"1025 bytes":        strings.Repeat("x", 1025),
		"1 MiB":             strings.Repeat("x", 1<<20),
		"1025 in few runes": strings.Repeat("日", 341) + "é",
		"invalid UTF-8":     "a\xffb",
		"cut rune":          "caf\xc3",
		"surrogate":         "\xed\xa0\x80",
		"NUL":               "a\x00b",
		"only NUL":          "\x00",
	}
	for name, id := range invalid {
		for _, op := range operations(t, s) {
			if op.name == store.OpList && id == "" {
				continue // lists every id
			}
			err := op.call(t.Context(), s, id)
			wantError(t, op.name+" with the id "+name, err, store.ErrInvalid)
			var named *store.Error
			if errors.As(err, &named) && named.Op != op.name {
				t.Errorf("%s with the id %s: Op of the error is %q", op.name, name, named.Op)
			}
			if len(err.Error()) > 8*store.MaxIDBytes {
				t.Errorf("%s with the id %s: the error is %d bytes long", op.name, name, len(err.Error()))
			}
		}
	}
	wantNumbers(t, s, "order-1", 7)
	wantLatest(t, s, "order-1", 7, "seven")
	if canList(t, s) {
		wantListed(t, s, "", "order-1")
	}
}

func errorsNameTheEntity(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	check := func(what string, err error, want store.Error) {
		t.Helper()
		var got *store.Error
		if !errors.As(err, &got) {
			t.Fatalf("%s: error %v is no *store.Error", what, err)
		}
		if got.Op != want.Op || got.PersistenceID != want.PersistenceID || got.SequenceNr != want.SequenceNr {
			t.Errorf("%s: error names %q of %q at %d; want %q of %q at %d",
				what, got.Op, got.PersistenceID, got.SequenceNr, want.Op, want.PersistenceID, want.SequenceNr)
		}
		var deeper *store.Error
		if errors.As(got.Err, &deeper) {
			t.Errorf("%s: error names the entity twice: %v", what, err)
		}
		if !strings.Contains(err.Error(), fmt.Sprintf("%q", want.PersistenceID)) {
			t.Errorf("%s: error %q does not say which id", what, err)
		}
	}
	for range 2 { // the second answer may come from what a wrapper remembers
		_, err := s.LoadLatest(t.Context(), "order-1")
		check("LoadLatest", err, store.Error{Op: store.OpLoadLatest, PersistenceID: "order-1"})
		err = store.ViewLatest(t.Context(), s, "order-1", func(store.Snapshot) error { return nil })
		check("ViewLatest", err, store.Error{Op: store.OpLoadLatest, PersistenceID: "order-1"})
		_, err = s.LoadBefore(t.Context(), "order-1", 42)
		check("LoadBefore", err, store.Error{Op: store.OpLoadBefore, PersistenceID: "order-1", SequenceNr: 42})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	check("Save", s.Save(ended, snapshot("order-1", 42, "")), store.Error{Op: store.OpSave, PersistenceID: "order-1", SequenceNr: 42})
	check("Delete", s.Delete(ended, "order-1", 42), store.Error{Op: store.OpDelete, PersistenceID: "order-1", SequenceNr: 42})
}
