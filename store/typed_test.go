package store_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func (a account) MarshalBinary() ([]byte, error) {
	if a.Owner == "nobody" {
		return nil, errors.New("nobody has an account")
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(a.Balance)), a.Owner...), nil
}

func (a *account) UnmarshalBinary(state []byte) error {
	if len(state) < 8 {
		return errors.New("too short")
	}
	a.Balance, a.Owner = int(binary.BigEndian.Uint64(state)), string(state[8:])
	return nil
}

func TestCodecs(t *testing.T) {
	versioned, err := store.Versioned(store.JSON[account](), 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := account{"Ada", 42}
	for name, codec := range map[string]store.Codec[account]{
		"JSON":      store.JSON[account](),
		"Gob":       store.Gob[account](),
		"Binary":    store.Binary[account](),
		"Versioned": versioned,
	} {
		s := newMemory(t, memory.Options{})
		typed := store.NewTyped(s, codec)
		if err := typed.Save(t.Context(), "account-1", 7, want); err != nil {
			t.Fatal(err)
		}
		if got, nr, err := typed.LoadLatest(t.Context(), "account-1"); err != nil || got != want || nr != 7 {
			t.Errorf("%s: LoadLatest = %v, %d, %v; want %v, 7", name, got, nr, err, want)
		}
		save(t, s, "account-1", 8, "{")
		got, nr, err := typed.LoadLatest(t.Context(), "account-1")
		if err == nil || errors.Is(err, store.ErrNotFound) || got != (account{}) || !strings.Contains(err.Error(), "at 8") {
			t.Errorf("%s: LoadLatest of what can't be decoded = %v, %d, %v; want an error that names its number", name, got, nr, err)
		}
	}
	if err := store.NewTyped(newMemory(t, memory.Options{}), store.Binary[account]()).Save(t.Context(), "account-1", 1, account{Owner: "nobody"}); err == nil {
		t.Error("Save of what can't be encoded succeeded")
	}
}

// What is behind the header of a schema version is decoded without a copy: the state
// that reaches the codec is the one that the store lends.
func TestTypedDecodesWhatIsLent(t *testing.T) {
	s := newMemory(t, memory.Options{})
	save(t, s, "account-1", 1, `{"Owner":"Ada"}`)
	var lent, decoded *byte
	err := store.ViewLatest(t.Context(), s, "account-1", func(snap store.Snapshot) error {
		lent = &snap.State[0]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	codec, err := store.Versioned[account](watchedCodec{store.JSON[account](), &decoded}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.NewTyped(s, codec).LoadLatest(t.Context(), "account-1"); err != nil || decoded != lent {
		t.Errorf("decoded at %p, lent at %p, %v", decoded, lent, err)
	}
}

type watchedCodec struct {
	store.Codec[account]
	decoded **byte
}

func (c watchedCodec) Decode(state []byte) (account, error) {
	*c.decoded = &state[0]
	return c.Codec.Decode(state)
}

// The first version had a name, the second an owner, the third counts in cents.
func TestUpcastsReadOldSchemas(t *testing.T) {
	s := newMemory(t, memory.Options{})
	codec := func(version uint32, upcasts map[uint32]store.Upcast) *store.Typed[account] {
		c, err := store.Versioned(store.JSON[account](), version, upcasts)
		if err != nil {
			t.Fatal(err)
		}
		return store.NewTyped(s, c)
	}
	upcasts := map[uint32]store.Upcast{
		0: func(old []byte) ([]byte, error) {
			return bytes.ReplaceAll(old, []byte(`"Name"`), []byte(`"Owner"`)), nil
		},
		1: func(old []byte) ([]byte, error) {
			var a account
			if err := json.Unmarshal(old, &a); err != nil {
				return nil, err
			}
			a.Balance *= 100
			return json.Marshal(a)
		},
	}
	save(t, s, "unversioned", 1, `{"Name":"Ada","Balance":42}`)
	if err := codec(1, nil).Save(t.Context(), "second", 1, account{"Ada", 42}); err != nil {
		t.Fatal(err)
	}
	latest := codec(2, upcasts)
	if err := latest.Save(t.Context(), "third", 1, account{"Ada", 4200}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"unversioned", "second", "third"} {
		if got, _, err := latest.LoadLatest(t.Context(), id); err != nil || got != (account{"Ada", 4200}) {
			t.Errorf("%s: %v, %v; want Ada with 4200", id, got, err)
		}
	}
	for name, load := range map[string]func() error{
		"a later version": func() error { _, _, err := codec(1, nil).LoadLatest(t.Context(), "third"); return err },
		"a missing upcast": func() error {
			_, _, err := codec(2, map[uint32]store.Upcast{0: upcasts[0]}).LoadLatest(t.Context(), "unversioned")
			return err
		},
	} {
		if err := load(); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v; want ErrUnsupported", name, err)
		}
	}
	save(t, s, "second", 2, "\x00SCV\x01no JSON")
	if _, _, err := latest.LoadLatest(t.Context(), "second"); err == nil || !strings.Contains(err.Error(), "upcast of version 1 to 2") {
		t.Errorf("an upcast that fails: %v; want an error that names it", err)
	}
}

// TestSchemaFormat pins what is stored.
func TestSchemaFormat(t *testing.T) {
	for version, want := range map[uint32]string{
		0:          "\x00SCV\x00{}",
		7:          "\x00SCV\x07{}",
		300:        "\x00SCV\xac\x02{}",
		1<<32 - 1:  "\x00SCV\xff\xff\xff\xff\x0f{}",
		1<<31 + 99: "\x00SCV\xe3\x80\x80\x80\x08{}",
	} {
		c, err := store.Versioned(store.JSON[struct{}](), version, nil)
		if err != nil {
			t.Fatal(err)
		}
		if state, err := c.Encode(struct{}{}); err != nil || string(state) != want {
			t.Errorf("version %d: %q, %v; want %q", version, state, err, want)
		}
		got, encoded, err := store.SchemaVersion([]byte(want))
		if err != nil || got != version || string(encoded) != "{}" {
			t.Errorf("SchemaVersion(%q) = %d, %q, %v; want %d", want, got, encoded, err, version)
		}
	}
	for _, state := range []string{"", "{}", "\x00SC", "\x00", "\x01SCV"} {
		if got, encoded, err := store.SchemaVersion([]byte(state)); err != nil || got != 0 || string(encoded) != state {
			t.Errorf("SchemaVersion(%q) = %d, %q, %v; want 0 and all of it", state, got, encoded, err)
		}
	}
	for _, state := range []string{"\x00SCV", "\x00SCV\x80", "\x00SCV\x80\x80\x80\x80\x10", "\x00SCV" + strings.Repeat("\xff", 11)} {
		if _, _, err := store.SchemaVersion([]byte(state)); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("SchemaVersion(%q): %v; want ErrCorrupt", state, err)
		}
	}
}

func TestVersionedRefuses(t *testing.T) {
	same := func(old []byte) ([]byte, error) { return old, nil }
	if _, err := store.Versioned[account](nil, 1, nil); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a nil codec: %v; want ErrInvalid", err)
	}
	for _, upcasts := range []map[uint32]store.Upcast{{2: same}, {3: same}, {0: nil}} {
		if _, err := store.Versioned(store.JSON[account](), 2, upcasts); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("upcasts %v: %v; want ErrInvalid", upcasts, err)
		}
	}
}

// With a Fallback in the stack a snapshot that can't be decoded is passed over like a
// corrupt one.
func TestTypedFallsBack(t *testing.T) {
	failure := errors.New("wire cut")
	const good, bad, unknown = `{"Owner":"Ada","Balance":7}`, "{", "\x00SCV\x63{}"
	for name, c := range map[string]struct {
		states   map[uint64]string
		attempts int
		corrupt  map[uint64]bool
		fails    bool // LoadBefore fails
		want     uint64
		err      string
		reported []uint64
	}{
		"intact":                {states: map[uint64]string{3: good, 5: good}, want: 5},
		"latest bad":            {states: map[uint64]string{3: good, 5: bad}, want: 3, reported: []uint64{5}},
		"two bad":               {states: map[uint64]string{1: good, 3: bad, 5: bad}, want: 1, reported: []uint64{5, 3}},
		"too many bad":          {states: map[uint64]string{1: good, 3: bad, 5: bad}, attempts: 2, err: "at 5", reported: []uint64{5, 3}},
		"none left":             {states: map[uint64]string{5: bad}, err: "at 5", reported: []uint64{5}},
		"corrupt then bad":      {states: map[uint64]string{1: good, 3: bad, 5: good}, corrupt: map[uint64]bool{5: true}, want: 1, reported: []uint64{5, 3}},
		"bad then corrupt":      {states: map[uint64]string{1: good, 3: good, 5: bad}, corrupt: map[uint64]bool{3: true}, want: 1, reported: []uint64{5, 3}},
		"of an unknown schema":  {states: map[uint64]string{3: good, 5: unknown}, err: "version 99"},
		"older one unknown":     {states: map[uint64]string{1: good, 3: unknown, 5: bad}, err: "version 99", reported: []uint64{5}},
		"the store then fails":  {states: map[uint64]string{3: good, 5: bad}, fails: true, err: "wire cut", reported: []uint64{5}},
		"the rest are corrupt":  {states: map[uint64]string{3: good, 5: bad}, corrupt: map[uint64]bool{3: true}, err: "at 5", reported: []uint64{5, 3}},
		"one attempt, and bad":  {states: map[uint64]string{3: good, 5: bad}, attempts: 1, err: "at 5", reported: []uint64{5}},
		"nothing to fall back ": {states: nil, err: "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			backend := newMemory(t, memory.Options{})
			for nr, state := range c.states {
				save(t, backend, "account-1", nr, state)
			}
			failing := storetest.NewFaults(corrupting{bare{backend}, c.corrupt}, storetest.FaultOptions{Before: func(op, _ string) error {
				if c.fails && op == store.OpLoadBefore {
					return failure
				}
				return nil
			}})
			var reported []uint64
			f, err := store.NewFallback(failing, store.FallbackOptions{Attempts: c.attempts, OnCorrupt: func(id string, nr uint64, err error) {
				if id != "account-1" || err == nil {
					t.Errorf("OnCorrupt got %q, %v", id, err)
				}
				reported = append(reported, nr)
			}})
			if err != nil {
				t.Fatal(err)
			}
			codec, err := store.Versioned(store.JSON[account](), 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			// Also where the Fallback is not the outermost layer, and beneath a Route.
			route, err := store.NewRoute(map[string]store.SnapshotStore{"account-": storetest.NewCounter(f), "": newMemory(t, memory.Options{})})
			if err != nil {
				t.Fatal(err)
			}
			got, nr, err := store.NewTyped(storetest.NewCounter(route), codec).LoadLatest(t.Context(), "account-1")
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("LoadLatest = %v, %v; want an error with %q", got, err, c.err)
				}
			} else if err != nil || nr != c.want || got != (account{"Ada", 7}) {
				t.Errorf("LoadLatest = %v at %d, %v; want that at %d", got, nr, err, c.want)
			}
			if !slices.Equal(reported, c.reported) || f.Stats().PassedOver != int64(len(reported)) {
				t.Errorf("reported are %v and counted %+v; want %v", reported, f.Stats(), c.reported)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name   string
		policy store.Policy
		since  store.Since
		want   bool
	}{
		{"bytes below", store.EveryBytes(1000), store.Since{Events: 9, Bytes: 999}, false},
		{"bytes at", store.EveryBytes(1000), store.Since{Events: 9, Bytes: 1000}, true},
		{"bytes never", store.EveryBytes(0), store.Since{Events: 9, Bytes: 1 << 60}, false},
		{"interval below", store.EveryInterval(day), store.Since{Events: 9, Elapsed: day - 1}, false},
		{"interval at", store.EveryInterval(day), store.Since{Events: 9, Elapsed: day}, true},
		{"interval without events", store.EveryInterval(day), store.Since{Elapsed: 9 * day}, false},
		{"interval never", store.EveryInterval(-1), store.Since{Events: 9, Elapsed: day}, false},
		{"any, none", store.Any(store.EveryN(10), store.EveryBytes(1000)), store.Since{Events: 9, Bytes: 999}, false},
		{"any, first", store.Any(store.EveryN(10), store.EveryBytes(1000)), store.Since{Events: 10}, true},
		{"any, second", store.Any(store.EveryN(10), store.EveryBytes(1000)), store.Since{Events: 1, Bytes: 1000}, true},
		{"any of nothing", store.Any(), store.Since{Events: 1 << 40}, false},
		{"all, one", store.All(store.EveryN(10), store.EveryInterval(day)), store.Since{Events: 10}, false},
		{"all, both", store.All(store.EveryN(10), store.EveryInterval(day)), store.Since{Events: 10, Elapsed: day}, true},
		{"all of nothing", store.All(), store.Since{Events: 1 << 40}, false},
		{"nested", store.Any(store.EveryN(1000), store.All(store.EveryN(10), store.EveryBytes(100))), store.Since{Events: 10, Bytes: 100}, true},
	} {
		if got := c.policy(c.since); got != c.want {
			t.Errorf("%s: %v for %+v; want %v", c.name, got, c.since, c.want)
		}
	}
}

func ExampleVersioned() {
	type accountV2 struct{ Owner string }
	codec, err := store.Versioned(store.JSON[accountV2](), 2, map[uint32]store.Upcast{
		1: func(old []byte) ([]byte, error) { // version 1 called it Name
			return bytes.Replace(old, []byte(`"Name":`), []byte(`"Owner":`), 1), nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	account, err := codec.Decode([]byte("\x00SCV\x01" + `{"Name":"Ada"}`))
	fmt.Println(account.Owner, err)
	// Output: Ada <nil>
}
