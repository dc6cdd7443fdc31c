package encrypt_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/cache"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/encrypt"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyText returns keys of the numbers, each of 32 bytes that are its own.
func keyText(numbers ...int) string {
	var entries []string
	for _, n := range numbers {
		entries = append(entries, fmt.Sprintf("%d:%s", n, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(n)}, 32))))
	}
	return strings.Join(entries, ",")
}

func keys(numbers ...int) encrypt.KeySource {
	return func() ([]byte, error) { return []byte(keyText(numbers...)), nil }
}

// options are those of most tests, with the keys of these numbers.
func options(numbers ...int) encrypt.Options {
	return encrypt.Options{Keys: keys(numbers...), Context: "acme/test/snapshots"}
}

func mustNew(t testing.TB, inner store.SnapshotStore, opts encrypt.Options) *encrypt.Store {
	t.Helper()
	s, err := encrypt.New(inner, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newMemory(t testing.TB, keep int) store.SnapshotStore {
	t.Helper()
	s, err := memory.New(memory.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func save(t *testing.T, s store.SnapshotStore, id string, nr uint64, state string) {
	t.Helper()
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: nr, State: []byte(state), Timestamp: time.UnixMilli(1000)}); err != nil {
		t.Fatal(err)
	}
}

func stored(t *testing.T, s store.SnapshotStore, id string) store.Snapshot {
	t.Helper()
	snap, err := s.LoadLatest(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// loads are all the ways to load an id.
func loads(ctx context.Context, s store.SnapshotStore, id string) map[string]func() (string, error) {
	return map[string]func() (string, error){
		"LoadLatest": func() (string, error) { snap, err := s.LoadLatest(ctx, id); return string(snap.State), err },
		"LoadBefore": func() (string, error) { snap, err := s.LoadBefore(ctx, id, 1<<62); return string(snap.State), err },
		"ViewLatest": func() (state string, err error) {
			err = store.ViewLatest(ctx, s, id, func(snap store.Snapshot) error {
				state = string(snap.State)
				return nil
			})
			return state, err
		},
	}
}

func wantState(t *testing.T, s store.SnapshotStore, id, want string) {
	t.Helper()
	for name, load := range loads(t.Context(), s, id) {
		if got, err := load(); err != nil || got != want {
			t.Errorf("%s of %q = %q, %v; want %q", name, id, got, err, want)
		}
	}
}

// wantError checks that every way to load the id fails with this error, and gives
// nothing of the state.
func wantError(t *testing.T, what string, s store.SnapshotStore, id string, want error) {
	t.Helper()
	for name, load := range loads(t.Context(), s, id) {
		got, err := load()
		if !errors.Is(err, want) || got != "" {
			t.Errorf("%s: %s = %q, %v; want %v", what, name, got, err, want)
		}
		for _, other := range []error{store.ErrCorrupt, store.ErrNotFound, errors.ErrUnsupported} {
			if other != want && errors.Is(err, other) {
				t.Errorf("%s: %s: %v matches %v", what, name, err, other)
			}
		}
		var named *store.Error
		if want == store.ErrCorrupt && (!errors.As(err, &named) || named.SequenceNr != 5) {
			t.Errorf("%s: %s: %v; want the number 5 of the corrupt snapshot", what, name, err)
		}
	}
}

func TestConformance(t *testing.T) {
	sign := options(1)
	sign.Mode = encrypt.Sign
	for name, wrap := range map[string]func(t *testing.T, inner store.SnapshotStore) store.SnapshotStore{
		"Sealed": func(t *testing.T, inner store.SnapshotStore) store.SnapshotStore {
			return mustNew(t, inner, options(1, 2))
		},
		"Signed": func(t *testing.T, inner store.SnapshotStore) store.SnapshotStore { return mustNew(t, inner, sign) },
		"Twice": func(t *testing.T, inner store.SnapshotStore) store.SnapshotStore {
			return mustNew(t, mustNew(t, inner, options(1)), options(2))
		},
		"BeneathCacheSingleflightAndCompress": func(t *testing.T, inner store.SnapshotStore) store.SnapshotStore {
			c, err := compress.New(mustNew(t, inner, options(1)), compress.Options{MinBytes: -1})
			if err != nil {
				t.Fatal(err)
			}
			s, err := cache.New(cache.NewSingleflight(c), cache.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		"OverCache": func(t *testing.T, inner store.SnapshotStore) store.SnapshotStore {
			s, err := cache.New(inner, cache.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return mustNew(t, s, options(1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
				return wrap(t, newMemory(t, c.Keep))
			})
		})
	}
}

func TestWhatIsStored(t *testing.T) {
	const state = "the quick brown fox jumps over the lazy dog"
	for mode, readable := range map[encrypt.Mode]bool{encrypt.Seal: false, encrypt.Sign: true} {
		inner := newMemory(t, 0)
		opts := options(1, 7)
		opts.Mode = mode
		s := mustNew(t, inner, opts)
		save(t, s, "order-1", 5, state)
		first := stored(t, inner, "order-1").State
		save(t, s, "order-1", 5, state)
		second := stored(t, inner, "order-1").State
		if bytes.Contains(first, []byte("quick")) != readable {
			t.Errorf("%v: stored is %q", mode, first)
		}
		if bytes.Equal(first, second) != readable {
			t.Errorf("%v: the same state saved twice is stored as %x and %x", mode, first, second)
		}
		wantState(t, s, "order-1", state)
		for _, empty := range []string{"", "x"} {
			save(t, s, "order-2", 1, empty)
			wantState(t, s, "order-2", empty)
		}
	}
}

func TestSaveKeepsAndAltersNothingOfTheCaller(t *testing.T) {
	inner := newMemory(t, 0)
	s := mustNew(t, inner, options(1))
	state := []byte("state")
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 5, State: state}); err != nil {
		t.Fatal(err)
	}
	if string(state) != "state" {
		t.Errorf("the caller's state is %q", state)
	}
	got := stored(t, s, "order-1").State
	clear(got)
	wantState(t, s, "order-1", "state")
	// Nor does opening write to what the inner store lends.
	before := bytes.Clone(stored(t, inner, "order-1").State)
	wantState(t, s, "order-1", "state")
	if !bytes.Equal(before, stored(t, inner, "order-1").State) {
		t.Error("a load altered what is stored")
	}
}

// Every bit, byte and length of what is stored is covered, and so is what stands beside
// it.
func TestAlteredStatesAreCorrupt(t *testing.T) {
	for _, mode := range []encrypt.Mode{encrypt.Seal, encrypt.Sign} {
		for _, migrate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/migrate=%v", mode, migrate), func(t *testing.T) {
				inner := newMemory(t, 0)
				opts := options(1, 2)
				opts.Mode, opts.Migrate = mode, migrate
				s := mustNew(t, inner, opts)
				save(t, s, "order-1", 5, "a state")
				original := stored(t, inner, "order-1")
				put := func(what string, snap store.Snapshot) {
					t.Helper()
					if err := inner.Save(t.Context(), snap); err != nil {
						t.Fatal(err)
					}
					wantError(t, what, s, snap.PersistenceID, store.ErrCorrupt)
				}
				altered := original
				for at := range original.State {
					for bit := range 8 {
						altered.State = bytes.Clone(original.State)
						altered.State[at] ^= 1 << bit
						put(fmt.Sprintf("bit %d of byte %d flipped", bit, at), altered)
					}
					altered.State = append(bytes.Clone(original.State[:at]), original.State[at+1:]...)
					put(fmt.Sprintf("byte %d missing", at), altered)
					// Of the first bytes too little is left to tell, where plain states are accepted.
					if at >= 8 || !migrate {
						altered.State = original.State[:at]
						put(fmt.Sprintf("cut to %d bytes", at), altered)
					}
				}
				for at := range len(original.State) + 1 {
					altered.State = append(append(bytes.Clone(original.State[:at]), 0), original.State[at:]...)
					put(fmt.Sprintf("a byte more at %d", at), altered)
				}

				moved := original
				moved.PersistenceID = "order-2"
				put("copied to another id", moved)
				later := original
				later.Timestamp = original.Timestamp.Add(time.Millisecond)
				put("another timestamp", later)

				// At another number it is the newest; the number in the error is that one.
				if err := inner.Save(t.Context(), original); err != nil {
					t.Fatal(err)
				}
				renumbered := original
				renumbered.SequenceNr = 6
				if err := inner.Save(t.Context(), renumbered); err != nil {
					t.Fatal(err)
				}
				if snap, err := s.LoadLatest(t.Context(), "order-1"); !errors.Is(err, store.ErrCorrupt) || snap.State != nil {
					t.Errorf("copied to another number: %q, %v; want ErrCorrupt", snap.State, err)
				}
				if snap, err := s.LoadBefore(t.Context(), "order-1", 6); err != nil || string(snap.State) != "a state" {
					t.Errorf("the original: %q, %v", snap.State, err)
				}
			})
		}
	}
}

func TestPlainStates(t *testing.T) {
	for _, state := range []string{"", "x", "plain", strings.Repeat("plain ", 1000), "\x53\xC5\x5A\xA7\xB1\x00\x00\x00 five bytes of the magic number"} {
		inner := newMemory(t, 0)
		save(t, inner, "order-1", 5, state)
		wantError(t, "refused by default", mustNew(t, inner, options(1)), "order-1", store.ErrCorrupt)
		opts := options(1)
		opts.Migrate = true
		s := mustNew(t, inner, opts)
		wantState(t, s, "order-1", state)
		if got := s.Stats(); got.Plain != 3 {
			t.Errorf("Stats = %+v; want 3 plain loads", got)
		}
	}
}

// A header that is taken away must not turn a signed state into a plain one.
func TestAStrippedHeaderIsNoWayAround(t *testing.T) {
	inner := newMemory(t, 0)
	opts := options(1)
	opts.Mode = encrypt.Sign
	s := mustNew(t, inner, opts)
	save(t, s, "order-1", 5, "balance: 1")
	snap := stored(t, inner, "order-1")
	snap.State = []byte("balance: 1000000")
	if err := inner.Save(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	wantError(t, "stripped", s, "order-1", store.ErrCorrupt)
}

// What is signed is not sealed: a store that wants it sealed must be told to accept it.
func TestSignedWhereSealedIsWanted(t *testing.T) {
	inner := newMemory(t, 0)
	sign, seal, migrate := options(1), options(1), options(1)
	sign.Mode, migrate.Migrate = encrypt.Sign, true
	save(t, mustNew(t, inner, sign), "order-1", 5, "signed")
	wantError(t, "signed", mustNew(t, inner, seal), "order-1", errors.ErrUnsupported)
	s := mustNew(t, inner, migrate)
	wantState(t, s, "order-1", "signed")
	if got := s.Stats(); got.Signed != 3 || got.Plain != 0 {
		t.Errorf("Stats = %+v; want 3 signed loads", got)
	}
	// The other way round nothing is lost.
	save(t, mustNew(t, inner, seal), "order-1", 5, "sealed")
	wantState(t, mustNew(t, inner, sign), "order-1", "sealed")
}

func TestKeysThatDoNotFit(t *testing.T) {
	inner := newMemory(t, 0)
	save(t, mustNew(t, inner, options(1, 2)), "order-1", 5, "state")
	wantState(t, mustNew(t, inner, options(2)), "order-1", "state")
	wantState(t, mustNew(t, inner, options(2, 9)), "order-1", "state")

	missing := mustNew(t, inner, options(1))
	wantError(t, "missing key", missing, "order-1", errors.ErrUnsupported)
	if _, err := missing.LoadLatest(t.Context(), "order-1"); !strings.Contains(err.Error(), "the key of number 2 is missing") {
		t.Errorf("a missing key: %v; want its number", err)
	}
	fallback, err := store.NewFallback(missing, store.FallbackOptions{OnCorrupt: func(_ string, _ uint64, err error) {
		t.Errorf("a Fallback passed over a snapshot whose key is missing: %v", err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, "missing key beneath a Fallback", fallback, "order-1", errors.ErrUnsupported)

	wrong := options(1)
	wrong.Keys = func() ([]byte, error) { return []byte(strings.Replace(keyText(9), "9:", "2:", 1)), nil }
	wantError(t, "another key of this number", mustNew(t, inner, wrong), "order-1", store.ErrCorrupt)
	context := options(1, 2)
	context.Context = "acme/test/snapshot"
	wantError(t, "another context", mustNew(t, inner, context), "order-1", store.ErrCorrupt)
}

func TestReload(t *testing.T) {
	text, err := keyText(1), error(nil)
	opts := options()
	opts.Keys = func() ([]byte, error) { return []byte(text), err }
	inner := newMemory(t, 0)
	s := mustNew(t, inner, opts)
	save(t, s, "order-1", 5, "under 1")
	text = keyText(2, 1)
	if err := s.Reload(); err != nil || s.ActiveKey() != 2 {
		t.Fatalf("Reload: %v, the active key is %d", err, s.ActiveKey())
	}
	wantState(t, s, "order-1", "under 1")
	save(t, s, "order-2", 5, "under 2")
	wantError(t, "under 2", mustNew(t, inner, options(1)), "order-2", errors.ErrUnsupported)

	for _, bad := range []func(){func() { text = "nonsense" }, func() { err = errors.New("vault sealed") }} {
		bad()
		if err := s.Reload(); err == nil || s.ActiveKey() != 2 {
			t.Errorf("Reload of bad keys: %v, the active key is %d; want an error and 2", err, s.ActiveKey())
		}
	}
	wantState(t, s, "order-2", "under 2")
}

func TestKeySources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("\n "+strings.ReplaceAll(keyText(3, 1), ",", " \r\n\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SNAPSTACK_TEST_KEYS", keyText(3, 1))
	for name, source := range map[string]encrypt.KeySource{"File": encrypt.File(path), "Env": encrypt.Env("SNAPSTACK_TEST_KEYS")} {
		opts := options()
		opts.Keys = source
		if s := mustNew(t, newMemory(t, 0), opts); s.ActiveKey() != 3 {
			t.Errorf("%s: the active key is %d; want 3", name, s.ActiveKey())
		}
	}
	for says, source := range map[string]encrypt.KeySource{
		"no such file": encrypt.File(path + "-absent"),
		"the environment variable SNAPSTACK_TEST_ABSENT is not set": encrypt.Env("SNAPSTACK_TEST_ABSENT"),
	} {
		opts := options()
		opts.Keys = source
		if _, err := encrypt.New(newMemory(t, 0), opts); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("New: %v; want %q", err, says)
		}
	}
}

// A source's text is cleared once it has been read.
func TestTheTextOfKeysIsCleared(t *testing.T) {
	text := []byte(keyText(1))
	opts := options()
	opts.Keys = func() ([]byte, error) { return text, nil }
	mustNew(t, newMemory(t, 0), opts)
	if !bytes.Equal(text, make([]byte, len(text))) {
		t.Errorf("left is %q", text)
	}
}

func TestBadKeys(t *testing.T) {
	good := keyText(1)
	_, base, _ := strings.Cut(good, ":")
	for text, says := range map[string]string{
		"":                              "keys: none",
		" \n,,\n":                       "keys: none",
		base:                            "entry 1: no colon",
		good + "," + base:               "entry 2: no colon",
		"0:" + base:                     "entry 1: no number ahead of the colon",
		"4294967296:" + base:            "entry 1: no number",
		"-1:" + base:                    "entry 1: no number",
		base + ":1":                     "entry 1: no number",
		good + "\n" + good:              "entry 2: the number 1 stands there twice",
		"1:" + base[:40]:                "entry 1: 30 bytes behind the colon",
		"1:":                            "entry 1: 0 bytes behind the colon",
		"1:" + strings.Repeat("!", 44):  "entry 1: no base64 behind the colon",
		"1:" + base + base[:4] + "AAAA": "entry 1: ",
	} {
		opts := options()
		opts.Keys = func() ([]byte, error) { return []byte(text), nil }
		_, err := encrypt.New(newMemory(t, 0), opts)
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("keys %q: %v; want ErrInvalid that says %q", text, err, says)
		}
		if strings.Contains(err.Error(), base[:8]) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for says, change := range map[string]func(*encrypt.Options){
		"Keys: nil":                           func(o *encrypt.Options) { o.Keys = nil },
		"Context of 0 bytes; allowed are 1":   func(o *encrypt.Options) { o.Context = "" },
		"Context of 256 bytes; allowed are 1": func(o *encrypt.Options) { o.Context = strings.Repeat("x", 256) },
		"Mode 3; allowed are Seal and Sign":   func(o *encrypt.Options) { o.Mode = 3 },
	} {
		opts := options(1)
		change(&opts)
		if s, err := encrypt.New(newMemory(t, 0), opts); s != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("New: %v; want ErrInvalid that says %q", err, says)
		}
	}
	if s, err := encrypt.New(nil, options(1)); s != nil || !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New over nil: %v; want ErrInvalid", err)
	}
	if _, err := encrypt.ParseMode("hide"); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "allowed are seal and sign") {
		t.Errorf("ParseMode: %v; want ErrInvalid", err)
	}
}

// failingRand gives no random bytes.
type failingRand struct{}

func (failingRand) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestWithoutANonceNothingIsSaved(t *testing.T) {
	inner := newMemory(t, 0)
	opts := options(1)
	opts.Rand = failingRand{}
	err := mustNew(t, inner, opts).Save(t.Context(), store.Snapshot{PersistenceID: "order-1", State: []byte("state")})
	if err == nil || !strings.Contains(err.Error(), "no entropy") {
		t.Errorf("Save: %v; want the error of the random numbers", err)
	}
	if _, err := inner.LoadLatest(t.Context(), "order-1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something was saved: %v", err)
	}
}

// Nothing that can be printed holds a key, in any form of it.
func TestKeysAreNeverPrinted(t *testing.T) {
	key := bytes.Repeat([]byte{0xA5}, 32)
	opts := options()
	opts.Keys = func() ([]byte, error) {
		return []byte("1:" + base64.StdEncoding.EncodeToString(key)), nil
	}
	s := mustNew(t, newMemory(t, 0), opts)
	over, err := cache.New(s, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	save(t, s, "order-1", 5, "state")
	_, missing := mustNew(t, s.Unwrap(), options(2)).LoadLatest(t.Context(), "order-1")
	for _, value := range []any{s, over, opts, s.Stats(), missing, struct{ Store any }{s}, []any{s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			printed := fmt.Sprintf(verb, value)
			for _, secret := range []string{"pdqlpaWl", "paWlpaWl", "a5a5a5", "A5A5A5", "165 165 165", "0xa5, 0xa5"} {
				if strings.Contains(strings.ToLower(printed), strings.ToLower(secret)) {
					t.Errorf("%s of a %T prints the key: %s", verb, value, printed)
				}
			}
		}
	}
	if got := fmt.Sprintf("%+v %#v %d", s, s, s); got != "encrypt.Store(key 1) encrypt.Store(key 1) encrypt.Store(key 1)" {
		t.Errorf("a Store is printed as %s", got)
	}
	//lint:ignore SA9005 that nothing of it is exported is what this is about
	if text, err := json.Marshal(s); err != nil || string(text) != "{}" {
		t.Errorf("a Store as JSON is %s, %v", text, err)
	}
}

// A view that panics, or fails, leaves nothing behind.
func TestViewsAreCleared(t *testing.T) {
	s := mustNew(t, newMemory(t, 0), options(1))
	save(t, s, "order-1", 5, "state")
	var lent []byte
	failure := errors.New("the view's own")
	err := s.ViewLatest(t.Context(), "order-1", func(snap store.Snapshot) error {
		lent = snap.State
		if cap(lent) != len(lent) {
			t.Error("lent with room to append")
		}
		return failure
	})
	if err != failure || string(lent) != strings.Repeat("\x00", 5) {
		t.Errorf("ViewLatest: %v, left is %q", err, lent)
	}
}

func TestRewrap(t *testing.T) {
	inner := newMemory(t, 0)
	save(t, inner, "plain", 5, "plain")
	sign := options(1)
	sign.Mode = encrypt.Sign
	save(t, mustNew(t, inner, sign), "signed", 5, "signed")
	save(t, mustNew(t, inner, options(1)), "old", 4, "old 4")
	save(t, mustNew(t, inner, options(1)), "old", 5, "old 5")
	save(t, mustNew(t, inner, options(1, 2)), "new", 5, "new")
	save(t, mustNew(t, inner, options(3)), "unknown", 5, "unknown")
	unchanged := stored(t, inner, "new").State

	// Without Migrate and the key of number 3.
	s := mustNew(t, inner, options(1, 2))
	var calls int
	got, err := encrypt.Rewrap(t.Context(), s, func(encrypt.RewrapProgress) { calls++ })
	if err == nil || got.Rewrapped != 2 || got.Current != 1 || calls != 6 || len(got.Left) != 3 || got.Left[0] != 1 || got.Left[1] != 1 || got.Left[3] != 1 {
		t.Errorf("Rewrap = %+v after %d calls, %v; want 2 rewrapped, 1 current, and one left under each of 0, 1 and 3", got, calls, err)
	}
	opts := options(1, 2, 3)
	opts.Keys = func() ([]byte, error) {
		return []byte(keyText(1, 3) + "," + strings.Replace(keyText(2), "2:", "4:", 1) + "," + keyText(2)), nil
	}
	opts.Migrate = true
	s = mustNew(t, inner, opts)
	if got, err = encrypt.Rewrap(t.Context(), s, nil); err != nil || got.Rewrapped != 6 || len(got.Left) != 0 {
		t.Errorf("Rewrap = %+v, %v; want all rewrapped", got, err)
	}
	if got, err = encrypt.Rewrap(t.Context(), s, nil); err != nil || got.Rewrapped != 0 || got.Current != 6 {
		t.Errorf("Rewrap once more = %+v, %v; want all current", got, err)
	}
	if bytes.Equal(unchanged, stored(t, inner, "new").State) {
		t.Error("a snapshot under the old key was not saved anew")
	}

	opts.Keys = func() ([]byte, error) { return []byte(strings.Replace(keyText(2), "2:", "4:", 1)), nil }
	opts.Migrate = false
	s = mustNew(t, inner, opts) // without the old keys
	for id, want := range map[string]string{"plain": "plain", "signed": "signed", "old": "old 5", "new": "new", "unknown": "unknown"} {
		wantState(t, s, id, want)
		if snap := stored(t, s, id); snap.SequenceNr != 5 || !snap.Timestamp.Equal(time.UnixMilli(1000)) {
			t.Errorf("%s is now at %d, %v", id, snap.SequenceNr, snap.Timestamp)
		}
	}
	if snap, err := s.LoadBefore(t.Context(), "old", 5); err != nil || string(snap.State) != "old 4" {
		t.Errorf("the older snapshot: %q, %v", snap.State, err)
	}
}

// slow is a store in which one Save waits until it is let go.
type slow struct {
	store.SnapshotStore
	mu      sync.Mutex
	saving  chan struct{} // closed when it has begun
	release chan struct{}
}

func (s *slow) Unwrap() store.SnapshotStore { return s.SnapshotStore }

func (s *slow) Save(ctx context.Context, snap store.Snapshot) error {
	s.mu.Lock()
	saving, release := s.saving, s.release
	s.saving = nil
	s.mu.Unlock()
	if saving != nil {
		close(saving)
		select {
		case <-release:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.SnapshotStore.Save(ctx, snap)
}

// A Save or Delete that comes while Rewrap saves the old state anew must not be undone.
func TestRewrapUndoesNoWrite(t *testing.T) {
	for name, write := range map[string]func(ctx context.Context, s store.SnapshotStore) error{
		"Save": func(ctx context.Context, s store.SnapshotStore) error {
			return s.Save(ctx, store.Snapshot{PersistenceID: "order-1", SequenceNr: 5, State: []byte("new")})
		},
		"Delete": func(ctx context.Context, s store.SnapshotStore) error { return s.Delete(ctx, "order-1", 5) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := newMemory(t, 0)
				save(t, mustNew(t, memory, options(1)), "order-1", 5, "old")
				inner := &slow{SnapshotStore: memory, saving: make(chan struct{}), release: make(chan struct{})}
				saving := inner.saving
				s := mustNew(t, inner, options(1, 2))
				var wg sync.WaitGroup
				wg.Go(func() {
					if got, err := encrypt.Rewrap(t.Context(), s, nil); err != nil || got.Rewrapped != 1 {
						t.Errorf("Rewrap = %+v, %v", got, err)
					}
				})
				<-saving
				impatient, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := write(impatient, s); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s while a rewrap holds the id: %v; want the end of its context", name, err)
				}
				wg.Go(func() {
					if err := write(t.Context(), s); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
				close(inner.release)
				wg.Wait()
				snap, err := s.LoadLatest(t.Context(), "order-1")
				if name == "Save" && string(snap.State) != "new" || name == "Delete" && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("after it there is %q, %v", snap.State, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRewrapEnds(t *testing.T) {
	inner := newMemory(t, 0)
	for i := range 10 {
		save(t, mustNew(t, inner, options(1)), fmt.Sprint("order-", i), 5, "state")
	}
	s := mustNew(t, inner, options(1, 2))
	ctx, cancel := context.WithCancel(t.Context())
	got, err := encrypt.Rewrap(ctx, s, func(p encrypt.RewrapProgress) {
		if p.Rewrapped == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || got.Rewrapped != 3 {
		t.Errorf("Rewrap whose context ended = %+v, %v; want Canceled after 3", got, err)
	}
	if got, err = encrypt.Rewrap(t.Context(), s, nil); err != nil || got.Rewrapped != 7 || got.Current != 3 {
		t.Errorf("Rewrap resumed = %+v, %v; want the other 7", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := encrypt.Rewrap(t.Context(), s, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Rewrap of a closed store: %v; want ErrClosed", err)
	}
}
