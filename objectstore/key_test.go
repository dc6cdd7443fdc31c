package objectstore

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/snapstack/snapstack/store"
)

func TestEscape(t *testing.T) {
	for id, want := range map[string]string{
		"order-42":                "order-42",
		"a":                       "a",
		"A":                       "_41",
		"a/b":                     "a_2fb",
		"a_2fb":                   "a__2fb",
		"..":                      "_2e_2e",
		"_":                       "__",
		"_h":                      "__h",
		"é":                       "_c3_a9",
		"\x7f\n":                  "_7f_0a",
		strings.Repeat("x", 200):  strings.Repeat("x", 200),
		strings.Repeat("A", 66):   strings.Repeat("_41", 66),
		strings.Repeat("x", 201):  "_h84a0678c90937f5dcf9994d5866668da6b995109c8ad845410559b48a4ecafed",
		strings.Repeat("é", 512):  "",
		strings.Repeat("_", 101):  "",
		strings.Repeat("/", 1024): "",
	} {
		got := escape(id)
		if want == "" && (len(got) != 66 || !strings.HasPrefix(got, "_h")) || want != "" && got != want {
			t.Errorf("escape(%.50q) = %q; want %q", id, got, want)
		}
	}
}

func TestEscapeIsInjectiveAndReversible(t *testing.T) {
	genID := rapid.StringN(1, -1, store.MaxIDBytes).Filter(func(id string) bool { return store.CheckID(id) == nil })
	ids := make(map[string]string) // by escape in one case
	rapid.Check(t, func(t *rapid.T) {
		id := genID.Draw(t, "id")
		escaped := escape(id)
		if !isSegment(escaped) {
			t.Fatalf("escape(%q) = %q is no segment of a key", id, escaped)
		}
		if other, found := ids[strings.ToLower(escaped)]; found && other != id {
			t.Fatalf("%q and %q share the escape %q", other, id, escaped)
		}
		ids[strings.ToLower(escaped)] = id
		got, hashed, ok := unescape(escaped)
		if !ok || hashed != strings.HasPrefix(escaped, "_h") || !hashed && got != id {
			t.Fatalf("unescape(%q) = %q, %v, %v; want %q", escaped, got, hashed, ok, id)
		}
	})
}

func TestUnescapeRefusesWhatIsNoEscape(t *testing.T) {
	for _, segment := range []string{
		"", "A", "a.b", "a/b", ".", "..", "_", "a_", "_4", "_61", "_4G", "_C3_A9", "_+1", "_ff", "_00", "a___2", "___", "_h", "_h12",
		"_h" + strings.Repeat("A", 64), "_h" + strings.Repeat("a", 63), "_h" + strings.Repeat("a", 66), strings.Repeat("x", 201),
	} {
		if id, hashed, ok := unescape(segment); ok {
			t.Errorf("unescape(%q) = %q, %v; want not ok", segment, id, hashed)
		}
	}
}

func TestNumbersFallInByteOrder(t *testing.T) {
	numbers := []uint64{0, 1, 15, 16, 255, 1 << 32, math.MaxInt64 - 1, math.MaxInt64}
	var keys []string
	for _, nr := range slices.Backward(numbers) {
		key := number(nr)
		if got, ok := parseNumber(key); !ok || got != nr || len(key) != 16 {
			t.Errorf("parseNumber(%q) = %d, %v; want %d", key, got, ok, nr)
		}
		keys = append(keys, key)
	}
	if !slices.IsSorted(keys) {
		t.Errorf("keys of falling numbers are %q; want them in byte order", keys)
	}
	for _, segment := range []string{"", "0", "7ffffffffffffffF", "8000000000000000", "ffffffffffffffff", "07fffffffffffffff", "7fffffffffffffff0", "+7ffffffffffffff", "0x7fffffffffffff", "7fffffffffff_fff"} {
		if nr, ok := parseNumber(segment); ok {
			t.Errorf("parseNumber(%q) = %d; want not ok", segment, nr)
		}
	}
}

func TestPrefixes(t *testing.T) {
	segment := strings.Repeat("s", 200)
	for _, prefix := range []string{"", "a/", "a/b/", "A.b_c-9/", "a../..b/", segment + "/", strings.Repeat(segment[:199]+"/", 4)} {
		if err := checkPrefix(prefix); err != nil {
			t.Errorf("Prefix %q: %v; want it allowed", prefix, err)
		}
	}
	for _, prefix := range []string{"a", "/", "/a/", "a//", "a//b/", "./", "../", "a/../", "a/./b/", "a b/", "a\n/", "ä/", "a%2f/", `a\/`, segment + "s/", strings.Repeat(segment+"/", 4)} {
		if err := checkPrefix(prefix); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("Prefix %q: %v; want ErrInvalid", prefix, err)
		}
	}
}
