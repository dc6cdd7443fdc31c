package storetest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/snapstack/snapstack/store"
)

func loadLatestReturnsWhatWasSaved(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	mustSave(t, s, "order-1", 7, "seven")
	wantLatest(t, s, "order-1", 7, "seven")
	wantLatest(t, s, "order-1", 7, "seven") // a second load, which a wrapper may answer otherwise
	mustSave(t, s, "order-1", 8, "eight")
	wantLatest(t, s, "order-1", 8, "eight")
	wantBefore(t, s, "order-1", 8, 7, "seven")
}

func latestIsTheHighestNumber(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	for _, nr := range []uint64{5, 900, 30, 1, 256, 255} {
		mustSave(t, s, "order-1", nr, fmt.Sprint(nr))
	}
	wantLatest(t, s, "order-1", 900, "900")
	wantNumbers(t, s, "order-1", 900, 256, 255, 30, 5, 1)
}

func saveReplacesTheSameNumber(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	mustSave(t, s, "order-1", 6, "six")
	mustSave(t, s, "order-1", 7, "a long first state")
	wantLatest(t, s, "order-1", 7, "a long first state")
	second := snapshot("order-1", 7, "short")
	second.Timestamp = taken.Add(-time.Hour) // the later Save wins, not the later timestamp
	if err := s.Save(t.Context(), second); err != nil {
		t.Fatalf("Save: %v", err)
	}
	got, err := s.LoadLatest(t.Context(), "order-1")
	if err != nil {
		t.Fatalf("LoadLatest: %v", err)
	}
	wantSnapshot(t, "LoadLatest", got, second)
	wantNumbers(t, s, "order-1", 7, 6)
}

func loadBeforeIsExclusive(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	for _, nr := range []uint64{3, 5, 9} {
		mustSave(t, s, "order-1", nr, fmt.Sprint(nr))
	}
	wantLatest(t, s, "order-1", 9, "9")
	wantBefore(t, s, "order-1", math.MaxUint64, 9, "9")
	wantBefore(t, s, "order-1", math.MaxInt64+1, 9, "9")
	wantBefore(t, s, "order-1", 10, 9, "9")
	wantBefore(t, s, "order-1", 9, 5, "5")
	wantBefore(t, s, "order-1", 6, 5, "5")
	wantBefore(t, s, "order-1", 5, 3, "3")
	wantBefore(t, s, "order-1", 4, 3, "3")
	for _, bound := range []uint64{3, 2, 1, 0} {
		wantNoneBefore(t, s, "order-1", bound)
	}
}

func nothingFoundIsErrNotFound(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	wantNoLatest(t, s, "order-1")
	wantNoneBefore(t, s, "order-1", math.MaxUint64)
	mustSave(t, s, "order-1", 7, "seven")
	for _, other := range []string{"order-2", "order-", "order-11", "Order-1"} {
		wantNoLatest(t, s, other)
		wantNoneBefore(t, s, other, math.MaxUint64)
	}
	wantLatest(t, s, "order-1", 7, "seven")
}

func deleteIsInclusive(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	for _, id := range []string{"order-1", "order-2"} {
		for nr := uint64(0); nr < 8; nr++ {
			mustSave(t, s, id, nr, fmt.Sprint(nr))
		}
	}
	wantLatest(t, s, "order-1", 7, "7")
	mustDelete(t, s, "order-1", 0)
	wantNumbers(t, s, "order-1", 7, 6, 5, 4, 3, 2, 1)
	mustDelete(t, s, "order-1", 3)
	wantNumbers(t, s, "order-1", 7, 6, 5, 4)
	mustDelete(t, s, "order-1", 6)
	wantLatest(t, s, "order-1", 7, "7")
	wantNumbers(t, s, "order-1", 7)
	mustDelete(t, s, "order-1", math.MaxUint64)
	wantNoLatest(t, s, "order-1")
	wantNumbers(t, s, "order-2", 7, 6, 5, 4, 3, 2, 1, 0)
	mustDelete(t, s, "order-2", math.MaxInt64)
	wantNoLatest(t, s, "order-2")
}

func deleteOfNothingIsNoError(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	mustDelete(t, s, "order-1", 5)
	mustSave(t, s, "order-1", 7, "seven")
	mustDelete(t, s, "order-1", 6)
	mustDelete(t, s, "order-2", math.MaxUint64)
	wantLatest(t, s, "order-1", 7, "seven")
	mustDelete(t, s, "order-1", 7)
	mustDelete(t, s, "order-1", 7)
	wantNoLatest(t, s, "order-1")
}

func deletedNumbersCanBeSavedAgain(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	mustSave(t, s, "order-1", 7, "first")
	wantLatest(t, s, "order-1", 7, "first")
	mustDelete(t, s, "order-1", 100)
	wantNoLatest(t, s, "order-1")
	mustSave(t, s, "order-1", 7, "second")
	wantLatest(t, s, "order-1", 7, "second")
	wantNumbers(t, s, "order-1", 7)
}

func timestampsAreUTCMilliseconds(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	zone := time.FixedZone("far east", 13*3600)
	for nr, at := range []time.Time{
		taken,
		taken.In(zone),
		taken.Add(999_999 * time.Nanosecond), // cut off, not rounded
		time.UnixMilli(0),
		time.UnixMilli(-1),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		snap := snapshot("order-1", uint64(nr), "state")
		snap.Timestamp = at
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatalf("Save at %v: %v", at, err)
		}
		got, err := s.LoadLatest(t.Context(), "order-1")
		if err != nil {
			t.Fatalf("LoadLatest of a snapshot taken at %v: %v", at, err)
		}
		snap.Timestamp = time.UnixMilli(at.UnixMilli()).UTC()
		wantSnapshot(t, "LoadLatest", got, snap)
	}
}

func zeroTimestampMeansNow(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	before := time.Now().Truncate(time.Millisecond)
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 1}); err != nil {
		t.Fatalf("Save: %v", err)
	}
	after := time.Now()
	got, err := s.LoadLatest(t.Context(), "order-1")
	if err != nil {
		t.Fatalf("LoadLatest: %v", err)
	}
	if got.Timestamp.Before(before) || got.Timestamp.After(after) || got.Timestamp.Location() != time.UTC || got.Timestamp.Nanosecond()%1e6 != 0 {
		t.Errorf("timestamp of a snapshot saved without one: %v; want whole UTC milliseconds between %v and %v", got.Timestamp, before, after)
	}
}

// zstdMagic and skippableMagic begin a zstd frame and one that zstd skips:
// states may look like what wrappers and backends put around them.
var (
	zstdMagic      = []byte{0x28, 0xb5, 0x2f, 0xfd}
	skippableMagic = []byte{0x50, 0x2a, 0x4d, 0x18} // to 0x5f, 0x2a, ...
)

func anyBytesComeBack(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	states := map[string][]byte{
		"nil":              nil,
		"empty":            {},
		"NUL":              {0},
		"NULs":             make([]byte, 1000),
		"everyByte":        everyByte,
		"notUTF8":          {0xff, 0xfe, 0xc0, 0x80},
		"text":             []byte("plain text"),
		"JSON":             []byte(`{"id":"order-1","lines":[1,2,3]}`),
		"repetitive":       bytes.Repeat([]byte("event-sourced "), 1000),
		"random":           randomBytes(1, 5000),
		"zstdMagic":        zstdMagic,
		"zstdFrameEmpty":   append(bytes.Clone(zstdMagic), 0x24, 0x00, 0x01, 0x00, 0x00, 0x99, 0xe9, 0xd8, 0x51),
		"zstdFrameDamaged": append(bytes.Clone(zstdMagic), randomBytes(2, 100)...),
		"gzipMagic":        {0x1f, 0x8b, 0x08},
		"SQLiteMagic":      []byte("SQLite format 3\x00"),
	}
	for nibble := byte(0); nibble < 16; nibble++ {
		frame := bytes.Clone(skippableMagic)
		frame[0] |= nibble
		states[fmt.Sprintf("skippable%xCut", nibble)] = frame
		states[fmt.Sprintf("skippable%x", nibble)] = append(append(bytes.Clone(frame), 4, 0, 0, 0), "skipthen some state"...)
	}
	check := func(t *testing.T, id string, state []byte) {
		t.Helper()
		mustSave(t, s, id, 1, string(state))
		wantLatest(t, s, id, 1, string(state))
		wantBefore(t, s, id, 2, 1, string(state))
	}
	for name, state := range states {
		check(t, name, state)
	}

	// Whatever a layer puts around a state is itself a legal state: save what the
	// wrappers of this stack made of one, as it lies in the innermost store.
	inner := s
	for {
		w, ok := inner.(store.Wrapper)
		if !ok {
			break
		}
		inner = w.Unwrap()
	}
	for name := range states {
		stored, err := inner.LoadLatest(t.Context(), name)
		if err != nil {
			t.Fatalf("LoadLatest(%q) on the innermost store: %v", name, err)
		}
		check(t, name+" as stored", stored.State)
		for _, cut := range []int{1, 4, 8, len(stored.State) / 2, len(stored.State) - 1} {
			if cut > 0 && cut < len(stored.State) {
				check(t, fmt.Sprintf("%s as stored, the first %d bytes", name, cut), stored.State[:cut])
			}
		}
	}
}

func largeStatesComeBack(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	random := randomBytes(3, 3<<20+17)
	text := bytes.Repeat([]byte(`{"sku":"A-1","quantity":3,"price":"12.50"},`), 5<<20/43)
	mixed := append(bytes.Clone(text[:1<<20]), random[:1<<20]...)
	for nr, state := range [][]byte{random, text, mixed, []byte("small again")} {
		mustSave(t, s, "order-1", uint64(nr), string(state))
		wantLatest(t, s, "order-1", uint64(nr), string(state))
		wantBefore(t, s, "order-1", uint64(nr)+1, uint64(nr), string(state))
	}
}

func saveKeepsNoReference(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	for _, size := range []int{10, 5000, 1 << 20} {
		snap := snapshot("order-1", uint64(size), string(bytes.Repeat([]byte("a"), size)))
		want := string(snap.State)
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatalf("Save: %v", err)
		}
		if string(snap.State) != want {
			t.Fatalf("Save of %d bytes wrote to the caller's state", size)
		}
		clear(snap.State)
		wantLatest(t, s, "order-1", uint64(size), want)
	}
}

func loadedStateBelongsToTheCaller(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	for _, size := range []int{10, 5000, 1 << 20} {
		nr, want := uint64(size), string(bytes.Repeat([]byte("a"), size))
		mustSave(t, s, "order-1", nr, want)
		scribble := func(op string, load func() (store.Snapshot, error)) {
			t.Helper()
			for range 3 { // the third load may be answered from what the first left behind
				got, err := load()
				if err != nil {
					t.Fatalf("%s: %v", op, err)
				}
				wantSnapshot(t, op, got, snapshot("order-1", nr, want))
				// What append writes behind the state must not be anyone's either.
				_ = append(got.State, bytes.Repeat([]byte("x"), 64)...)
				clear(got.State)
			}
		}
		scribble("LoadLatest", func() (store.Snapshot, error) { return s.LoadLatest(t.Context(), "order-1") })
		scribble("LoadBefore", func() (store.Snapshot, error) { return s.LoadBefore(t.Context(), "order-1", nr+1) })
		wantLatest(t, s, "order-1", nr, want)
	}
}

func viewLatestLends(t *testing.T, open Open) {
	s := openStore(t, open, Config{})
	mustSave(t, s, "order-1", 7, "seven")
	for range 3 {
		// The error of view must come back as it is, even one that looks like the
		// store's own.
		want := fmt.Errorf("from view: %w", store.ErrNotFound)
		err := store.ViewLatest(t.Context(), s, "order-1", func(got store.Snapshot) error {
			wantSnapshot(t, "ViewLatest", got, snapshot("order-1", 7, "seven"))
			return want
		})
		if err != want {
			t.Fatalf("ViewLatest returned %v; want the error of view itself", err)
		}
	}
	wantLatest(t, s, "order-1", 7, "seven")

	func() {
		defer func() {
			if r := recover(); r != "from view" {
				t.Errorf("a panic of view came back as %v; want it as it was", r)
			}
		}()
		_ = store.ViewLatest(t.Context(), s, "order-1", func(store.Snapshot) error { panic("from view") })
	}()
	mustSave(t, s, "order-1", 8, "eight") // a view that ended in a panic holds nothing up
	wantLatest(t, s, "order-1", 8, "eight")
}

// randomBytes returns n incompressible bytes, the same for the same seed.
func randomBytes(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}
