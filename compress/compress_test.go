package compress_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/bench/workload"
	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return mustNew(t, mustMemory(t, c.Keep), compress.Options{})
	})
}

// Every state goes through the encoder, one frame at a time, and the store beneath
// can't lend what it holds.
func TestConformanceOfAnotherConfiguration(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return mustNew(t, noViewer{mustMemory(t, c.Keep)}, compress.Options{Level: compress.Better, MinBytes: -1, Concurrency: 1})
	})
}

func TestConformanceOverItself(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		return mustNew(t, mustNew(t, mustMemory(t, c.Keep), compress.Options{}), compress.Options{})
	})
}

func TestNewRefusesBadOptions(t *testing.T) {
	for name, test := range map[string]struct {
		opts compress.Options
		want string // in the error
	}{
		"level":                   {compress.Options{Level: "fast"}, `Level "fast"`},
		"level in capitals":       {compress.Options{Level: "BEST"}, `Level "BEST"`},
		"negative maximum":        {compress.Options{MaxDecodedBytes: -1}, "MaxDecodedBytes -1"},
		"negative concurrency":    {compress.Options{Concurrency: -1}, "Concurrency -1"},
		"concurrency of 1025":     {compress.Options{Concurrency: 1025}, "Concurrency 1025"},
		"concurrency of a number": {compress.Options{Concurrency: 1 << 30}, "Concurrency 1073741824"},
	} {
		s, err := compress.New(mustMemory(t, 0), test.opts)
		var named *store.Error
		if s != nil || !errors.Is(err, store.ErrInvalid) || !errors.As(err, &named) || named.Op != store.OpOpen {
			t.Errorf("%s: New returned %v, %v; want an ErrInvalid of %q", name, s, err, store.OpOpen)
			continue
		}
		for _, want := range []string{"compress: ", test.want, "allowed are"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q does not say %q", name, err, want)
			}
		}
	}
	if _, err := compress.New(nil, compress.Options{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("New over nil: %v; want ErrInvalid", err)
	}
}

func TestParseLevel(t *testing.T) {
	for _, level := range []compress.Level{compress.Fastest, compress.Default, compress.Better, compress.Best} {
		if got, err := compress.ParseLevel(string(level)); got != level || err != nil {
			t.Errorf("ParseLevel(%q) = %q, %v", level, got, err)
		}
	}
	for _, name := range []string{"", "1", "Fastest", "fastest "} {
		if got, err := compress.ParseLevel(name); got != "" || !errors.Is(err, store.ErrInvalid) {
			t.Errorf("ParseLevel(%q) = %q, %v; want ErrInvalid", name, got, err)
		}
	}
}

func TestStatesShrink(t *testing.T) {
	for _, test := range []struct {
		level compress.Level
		size  int
	}{
		{"", 256}, {"", 1000}, {"", 64 << 10}, {"", 1 << 20}, {"", 3<<20 + 1},
		{compress.Fastest, 64 << 10}, {compress.Default, 64 << 10}, {compress.Better, 64 << 10}, {compress.Best, 64 << 10},
	} {
		inner := mustMemory(t, 0)
		s := mustNew(t, inner, compress.Options{Level: test.level})
		mustSave(t, s, 1, jsonState(test.size))
		if stored := storedState(t, inner); len(stored) > test.size*9/10 {
			t.Errorf("%d bytes of JSON took %d at level %q", test.size, len(stored), test.level)
		}
		wantState(t, s, jsonState(test.size))
		mustClose(t, s)
	}
}

// Being cut into frames costs a large state at most 1 % of what it takes in one.
// Digits by chance repeat nothing, and take less than four bits each.
func TestDigitsShrink(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{10_000, 100_000, 3 << 20} {
		state := make([]byte, size)
		for i := range state {
			state[i] = byte('0' + random.IntN(10))
		}
		inner := mustMemory(t, 0)
		s := mustNew(t, inner, compress.Options{})
		mustSave(t, s, 1, state)
		wantState(t, s, state)
		if stored := len(storedState(t, inner)); stored > size/2 {
			t.Errorf("%d digits take %d bytes; want half at most", size, stored)
		}
		mustClose(t, s)
	}
}

func TestFramesTakeLittleMoreThanOne(t *testing.T) {
	large := slices.MaxFunc(workload.Generate(1), func(a, b []byte) int { return len(a) - len(b) })
	for name, state := range map[string][]byte{"4 MB": jsonState(4 << 20), "16 MB": jsonState(16 << 20), "of bench": large} {
		for level, zstdLevel := range map[compress.Level]zstd.EncoderLevel{compress.Fastest: zstd.SpeedFastest, compress.Default: zstd.SpeedDefault} {
			encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstdLevel))
			if err != nil {
				t.Fatal(err)
			}
			single := len(encoder.EncodeAll(state, nil))
			stored := storedBytes(t, compress.Options{Level: level}, [][]byte{state})
			t.Logf("%s at level %s: %d bytes, %d in a single frame, %+.2f %%", name, level, stored, single, 100*float64(stored-single)/float64(single))
			if stored > single+single/100 {
				t.Errorf("%s at level %s: %d bytes; want at most 1 %% over the %d of a single frame", name, level, stored, single)
			}
		}
	}
}

// What can't shrink takes little more than it is.
func TestStatesThatDoNotShrink(t *testing.T) {
	for _, size := range []int{0, 1, 100, 255, 256, 64 << 10, 1 << 20, 3<<20 + 1} {
		for _, minBytes := range []int{-1, 0, 1 << 30} {
			inner := mustMemory(t, 0)
			s := mustNew(t, inner, compress.Options{MinBytes: minBytes})
			state := randomState(size)
			mustSave(t, s, 1, state)
			frames := size>>20 + 1
			if stored := storedState(t, inner); len(stored) > size+36+frames*20+3*(size>>16) {
				t.Errorf("%d random bytes took %d with MinBytes %d", size, len(stored), minBytes)
			}
			wantState(t, s, state)
			mustClose(t, s)
		}
	}
}

// At each level, and wherever in a state it is that bytes can't shrink: those are
// stored as they are, and cost the others nothing.
func TestMixedStates(t *testing.T) {
	const half = 3 << 19 // frames of a state of two halves hold one or the other, or both
	random, json := randomState(half), jsonState(half)
	for _, level := range []compress.Level{compress.Fastest, compress.Default, compress.Better, compress.Best} {
		for name, test := range map[string]struct {
			state []byte
			most  int
		}{
			"random":             {slices.Concat(random, random[:half/2]), half*3/2 + 300},
			"JSON after random":  {slices.Concat(random, json), half + half/3},
			"random after JSON":  {slices.Concat(json, random), half + half/3},
			"random within JSON": {slices.Concat(json[:half/2], random, json[half/2:]), half + half/3},
			"JSON within random": {slices.Concat(random[:half/2], json, random[half/2:]), half + half/3},
		} {
			inner := mustMemory(t, 0)
			s := mustNew(t, inner, compress.Options{Level: level})
			mustSave(t, s, 1, test.state)
			if stored := storedState(t, inner); len(stored) > test.most {
				t.Errorf("%s at level %s: %d bytes took %d; want at most %d", name, level, len(test.state), len(stored), test.most)
			}
			wantState(t, s, test.state)
			mustClose(t, s)
		}
	}
}

func TestMinBytes(t *testing.T) {
	state := bytes.Repeat([]byte("a"), 600)
	for _, test := range []struct {
		minBytes, size int
		raw            bool
	}{
		{0, 255, true}, {0, 256, false}, {-1, 1, false}, {-1, 255, false}, {600, 599, true}, {600, 600, false}, {1, 1, false},
	} {
		inner := mustMemory(t, 0)
		s := mustNew(t, inner, compress.Options{MinBytes: test.minBytes})
		mustSave(t, s, 1, state[:test.size])
		stored := storedState(t, inner)
		// One byte can't be told: the encoder stores it raw as well.
		if raw := bytes.Contains(stored, state[:test.size]); test.size > 1 && raw != test.raw {
			t.Errorf("MinBytes %d: %d bytes stored raw: %v; want %v", test.minBytes, test.size, raw, test.raw)
		}
		wantState(t, s, state[:test.size])
		mustClose(t, s)
	}
}

// MinBytes is about states, not about the frames that they are cut into.
func TestMinBytesOfSeveralFrames(t *testing.T) {
	inner := mustMemory(t, 0)
	s := mustNew(t, inner, compress.Options{MinBytes: 1 << 20})
	defer mustClose(t, s)
	mustSave(t, s, 1, make([]byte, 1<<20+1))
	if stored := storedState(t, inner); len(stored) > 1000 {
		t.Errorf("a state above MinBytes took %d bytes", len(stored))
	}
}

func TestMaxDecodedBytes(t *testing.T) {
	const limit = 100_000
	inner := mustMemory(t, 0)
	wide := mustNew(t, noClose{inner}, compress.Options{})
	defer mustClose(t, wide)
	s := mustNew(t, inner, compress.Options{MaxDecodedBytes: limit})
	defer mustClose(t, s)

	mustSave(t, s, 1, jsonState(limit))
	wantState(t, s, jsonState(limit))

	err := s.Save(t.Context(), snapshot(2, jsonState(limit+1)))
	if !errors.Is(err, store.ErrTooLarge) || !strings.Contains(err.Error(), "100001") || !strings.Contains(err.Error(), "100000") {
		t.Errorf("Save above the maximum: %v; want ErrTooLarge with both sizes", err)
	}
	wantState(t, s, jsonState(limit)) // still the first

	mustSave(t, wide, 2, jsonState(limit+1))
	wantLoadError(t, s, 0, store.ErrTooLarge)
	wantState(t, wide, jsonState(limit+1))

	// A state from before the wrapper is in memory already.
	mustSave(t, inner, 3, bytes.Repeat([]byte("old"), limit))
	wantState(t, s, bytes.Repeat([]byte("old"), limit))
}

// A cap below what zstd takes as its smallest window still holds small states.
func TestTinyMaxDecodedBytes(t *testing.T) {
	for _, minBytes := range []int{-1, 0} {
		s := mustNew(t, mustMemory(t, 0), compress.Options{MaxDecodedBytes: 10, MinBytes: minBytes})
		mustSave(t, s, 1, []byte("0123456789"))
		wantState(t, s, []byte("0123456789"))
		if err := s.Save(t.Context(), snapshot(2, []byte("0123456789a"))); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("Save of 11 bytes: %v; want ErrTooLarge", err)
		}
		mustClose(t, s)
	}
}

func TestOlderStatesComeBackAsTheyAre(t *testing.T) {
	blobs := mustMemory(t, 0)
	s := mustNew(t, blobs, compress.Options{})
	defer mustClose(t, s)
	mustSave(t, s, 1, jsonState(1000))
	blob := storedState(t, blobs)
	header := blob[:bytes.Index(blob, zstdMagic)]
	frame := blob[len(header) : len(blob)-16]

	skippable := func(nibble byte, content string) []byte {
		return append([]byte{0x50 | nibble, 0x2a, 0x4d, 0x18, byte(len(content)), 0, 0, 0}, content...)
	}
	states := map[string][]byte{
		"empty":                    {},
		"one byte":                 {0},
		"JSON":                     jsonState(5000),
		"random":                   randomState(5000),
		"zstd frame":               frame,
		"zstd frames":              append(bytes.Clone(frame), frame...),
		"damaged zstd frame":       frame[:len(frame)/2],
		"zstd magic":               zstdMagic,
		"first bytes of a blob":    blob[:4],
		"first byte of a blob":     blob[:1],
		"last bytes of a blob":     blob[len(blob)-7:],
		"blob in something else":   append(append([]byte("before"), blob...), "and after"...),
		"header without its start": header[4:],
	}
	for nibble := byte(0); nibble < 16; nibble++ {
		states[fmt.Sprintf("empty skippable frame %x", nibble)] = skippable(nibble, "")
		states[fmt.Sprintf("skippable frame %x", nibble)] = skippable(nibble, "ABCDEFGH")
		states[fmt.Sprintf("skippable frame %x and zstd frame", nibble)] = append(skippable(nibble, "ABCD"), frame...)
		states[fmt.Sprintf("zstd frame and skippable frame %x", nibble)] = append(bytes.Clone(frame), skippable(nibble, "ABCDEFGH")...)
		states[fmt.Sprintf("skippable frame %x cut short", nibble)] = skippable(nibble, "")[:4]
	}
	inner := mustMemory(t, 0)
	over := mustNew(t, inner, compress.Options{})
	defer mustClose(t, over)
	nr := uint64(0)
	for name, state := range states {
		nr++
		mustSave(t, inner, nr, state)
		t.Run(name, func(t *testing.T) {
			wantState(t, over, state)
			got, err := over.LoadLatest(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got.State {
				got.State[i]++ // the caller's own
			}
			wantState(t, over, state)
		})
	}
}

// A state that is itself a blob is a state like any other.
func TestBlobsAreStates(t *testing.T) {
	inner := mustMemory(t, 0)
	s := mustNew(t, inner, compress.Options{})
	defer mustClose(t, s)
	state := []byte("a state")
	for range 5 {
		mustSave(t, s, 1, state)
		wantState(t, s, state)
		state = storedState(t, inner)
	}
}

func TestListTunnels(t *testing.T) {
	inner := mustMemory(t, 0)
	s := mustNew(t, inner, compress.Options{})
	defer mustClose(t, s)
	mustSave(t, s, 7, jsonState(10_000))
	for info, err := range store.List(t.Context(), s, id) {
		if err != nil || info.SequenceNr != 7 || info.StoredBytes != int64(len(storedState(t, inner))) {
			t.Errorf("List gave %+v, %v", info, err)
		}
	}
}

func TestLoadLatestAllocatesTheStateOnce(t *testing.T) {
	s := mustNew(t, mustMemory(t, 0), compress.Options{})
	defer mustClose(t, s)
	const size = 4 << 20
	mustSave(t, s, 1, jsonState(size))
	load := func() {
		if snap, err := s.LoadLatest(t.Context(), id); err != nil || len(snap.State) != size || cap(snap.State) != size {
			t.Fatalf("LoadLatest gave %d bytes in %d, %v; want %d in %d", len(snap.State), cap(snap.State), err, size, size)
		}
	}
	view := func() {
		if err := s.ViewLatest(t.Context(), id, func(store.Snapshot) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	load()
	view()
	if raceEnabled {
		t.Skip("under -race a sync.Pool drops buffers at random")
	}
	if got := allocated(10, load); got > size*5/4 {
		t.Errorf("a LoadLatest of %d bytes allocated %d", size, got)
	}
	if got := allocated(10, view); got > size/4 {
		t.Errorf("a ViewLatest of %d bytes allocated %d", size, got)
	}
}

// A small state is lent by the store beneath, without decoding or copying.
func TestViewLatestLendsSmallStates(t *testing.T) {
	inner := mustMemory(t, 0)
	s := mustNew(t, inner, compress.Options{})
	defer mustClose(t, s)
	mustSave(t, s, 1, []byte("a small state"))
	var lent []byte
	_ = inner.ViewLatest(t.Context(), id, func(snap store.Snapshot) error { lent = snap.State; return nil })
	err := s.ViewLatest(t.Context(), id, func(snap store.Snapshot) error {
		if at := bytes.Index(lent, snap.State); at < 0 || &lent[at] != &snap.State[0] || cap(snap.State) != len(snap.State) {
			t.Errorf("ViewLatest did not lend the bytes of the store beneath")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The context ends while frames are being encoded: Save has let go of the state
// when it returns, as clearing it shows under -race.
func TestSaveLetsGoOfTheStateWhenItsContextEnds(t *testing.T) {
	s := mustNew(t, mustMemory(t, 0), compress.Options{Concurrency: 4})
	defer mustClose(t, s)
	const size = 3 << 20
	full := jsonState(size)
	state := make([]byte, size)
	ended := 0
	for i := range 20 {
		copy(state, full)
		ctx := &countdownContext{Context: t.Context(), left: i % 5} // 4 is beneath, after the frames
		err := s.Save(ctx, snapshot(uint64(i), state))
		clear(state)
		if err != nil {
			ended++
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("Save: %v; want context.Canceled", err)
			}
		}
	}
	if ended != 20 {
		t.Errorf("%d of 20 saves met the end of their context", ended)
	}
	mustSave(t, s, 1, full)
	wantState(t, s, full)
}

func TestLoadObeysItsContextBetweenFrames(t *testing.T) {
	s := mustNew(t, mustMemory(t, 0), compress.Options{})
	defer mustClose(t, s)
	state := jsonState(4 << 20)
	mustSave(t, s, 1, state)
	for i := range 6 { // the gates of both stores, then four frames
		for name, load := range loads(s) {
			if err := load(&countdownContext{Context: t.Context(), left: i}); !errors.Is(err, context.Canceled) {
				t.Errorf("%s whose context ends at check %d of it: %v; want context.Canceled", name, i, err)
			}
		}
	}
	wantState(t, s, state)
}

func TestConcurrentLargeStates(t *testing.T) {
	s := mustNew(t, mustMemory(t, 0), compress.Options{Concurrency: 3})
	defer mustClose(t, s)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			other := fmt.Sprintf("order-%d", g)
			for i := range 4 {
				state := bytes.Repeat([]byte(fmt.Sprintf(`{"g":%d,"i":%d},`, g, i)), (1+g)*40_000)
				snap := store.Snapshot{PersistenceID: other, SequenceNr: uint64(i), State: state}
				if err := s.Save(t.Context(), snap); err != nil {
					t.Errorf("Save: %v", err)
				}
				err := s.ViewLatest(t.Context(), other, func(got store.Snapshot) error {
					if !bytes.Equal(got.State, state) {
						t.Errorf("ViewLatest of %s at %d gave another state", other, i)
					}
					return nil
				})
				if err != nil {
					t.Errorf("ViewLatest: %v", err)
				}
				if got, err := s.LoadLatest(t.Context(), other); err != nil || !bytes.Equal(got.State, state) {
					t.Errorf("LoadLatest of %s at %d gave another state, %v", other, i, err)
				}
			}
		})
	}
	wg.Wait()
}

// What is lent, to a view or to the store beneath, is in nobody else's hands.
func TestBuffersAreNotSharedWhileLent(t *testing.T) {
	state, other := jsonState(20_000), bytes.Repeat([]byte("other"), 4000) // of the same size class
	var s *compress.Store
	useBuffers := func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-2", SequenceNr: 1, State: other}); err != nil {
				t.Errorf("Save: %v", err)
			}
			err := s.ViewLatest(t.Context(), "order-2", func(store.Snapshot) error { return nil })
			if err != nil {
				t.Errorf("ViewLatest: %v", err)
			}
		}()
		<-done
	}
	s = mustNew(t, watchedSave{mustMemory(t, 0), func(snap store.Snapshot) {
		if snap.PersistenceID != id {
			return
		}
		was := bytes.Clone(snap.State)
		useBuffers()
		if !bytes.Equal(snap.State, was) {
			t.Error("the bytes changed while the store beneath saved them")
		}
	}}, compress.Options{})
	defer mustClose(t, s)
	for range 30 { // a pool hands out another buffer now and then
		mustSave(t, s, 1, state)
		err := s.ViewLatest(t.Context(), id, func(snap store.Snapshot) error {
			useBuffers()
			if !bytes.Equal(snap.State, state) {
				t.Error("the state changed while it was lent to a view")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseReturnsTheErrorBeneath(t *testing.T) {
	want := errors.New("disk on fire")
	s := mustNew(t, failingClose{mustMemory(t, 0), want}, compress.Options{})
	for range 2 {
		if err := s.Close(); !errors.Is(err, want) {
			t.Errorf("Close: %v; want %v", err, want)
		}
	}
}

const id = "order-1"

var (
	taken     = time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC)
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// noViewer hides what the store can do beyond the five methods. It embeds the
// interface on purpose: that is all it is to have.
type noViewer struct{ store.SnapshotStore }

// noClose keeps a store open that two others stand on.
type noClose struct{ store.SnapshotStore }

func (noClose) Close() error { return nil }

type failingClose struct {
	store.SnapshotStore
	err error
}

func (f failingClose) Close() error { return f.err }

// watchedSave calls watch before each Save.
type watchedSave struct {
	store.SnapshotStore
	watch func(store.Snapshot)
}

func (w watchedSave) Save(ctx context.Context, snap store.Snapshot) error {
	w.watch(snap)
	return w.SnapshotStore.Save(ctx, snap)
}

// countdownContext ends when Err has been asked left times.
type countdownContext struct {
	context.Context
	mu   sync.Mutex
	left int
}

func (c *countdownContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
	if c.left < 0 {
		return context.Canceled
	}
	return nil
}

func snapshot(nr uint64, state []byte) store.Snapshot {
	return store.Snapshot{PersistenceID: id, SequenceNr: nr, Timestamp: taken, State: state}
}

func mustMemory(t testing.TB, keep int) *memory.Store {
	t.Helper()
	s, err := memory.New(memory.Options{Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustNew(t testing.TB, inner store.SnapshotStore, opts compress.Options) *compress.Store {
	t.Helper()
	s, err := compress.New(inner, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSave(t testing.TB, s store.SnapshotStore, nr uint64, state []byte) {
	t.Helper()
	if err := s.Save(t.Context(), snapshot(nr, state)); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func mustClose(t testing.TB, s store.SnapshotStore) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// storedState returns the latest state that a store holds, as it holds it.
func storedState(t testing.TB, inner store.SnapshotStore) []byte {
	t.Helper()
	snap, err := inner.LoadLatest(t.Context(), id)
	if err != nil {
		t.Fatalf("LoadLatest beneath: %v", err)
	}
	return snap.State
}

// loads are the three ways to load the latest snapshot.
func loads(s store.SnapshotStore) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		store.OpLoadLatest: func(ctx context.Context) error {
			_, err := s.LoadLatest(ctx, id)
			return err
		},
		store.OpLoadBefore: func(ctx context.Context) error {
			_, err := s.LoadBefore(ctx, id, store.MaxSequenceNr+1)
			return err
		},
		"view latest": func(ctx context.Context) error {
			return store.ViewLatest(ctx, s, id, func(store.Snapshot) error { return nil })
		},
	}
}

// wantState checks that all loads give the state.
func wantState(t testing.TB, s store.SnapshotStore, want []byte) {
	t.Helper()
	check := func(op string, got store.Snapshot) {
		t.Helper()
		if !bytes.Equal(got.State, want) {
			t.Fatalf("%s gave %.60q (%d bytes); want %.60q (%d bytes)", op, got.State, len(got.State), want, len(want))
		}
		if got.PersistenceID != id || !got.Timestamp.Equal(taken) {
			t.Fatalf("%s gave a snapshot of %q taken at %v", op, got.PersistenceID, got.Timestamp)
		}
	}
	got, err := s.LoadLatest(t.Context(), id)
	if err != nil {
		t.Fatalf("LoadLatest: %v", err)
	}
	check("LoadLatest", got)
	before, err := s.LoadBefore(t.Context(), id, got.SequenceNr+1)
	if err != nil {
		t.Fatalf("LoadBefore: %v", err)
	}
	check("LoadBefore", before)
	err = store.ViewLatest(t.Context(), s, id, func(got store.Snapshot) error {
		check("ViewLatest", got)
		return nil
	})
	if err != nil {
		t.Fatalf("ViewLatest: %v", err)
	}
}

// wantLoadError checks that all loads fail with want, naming the number.
func wantLoadError(t testing.TB, s store.SnapshotStore, nr uint64, want error) {
	t.Helper()
	for name, load := range loads(s) {
		err := load(t.Context())
		if !errors.Is(err, want) {
			t.Fatalf("%s: %v; want an error matching %q", name, err, want)
		}
		var named *store.Error
		if !errors.As(err, &named) || named.PersistenceID != id || errors.Is(want, store.ErrCorrupt) && named.SequenceNr != nr {
			t.Fatalf("%s: error %v does not name the snapshot at %d", name, err, nr)
		}
	}
}

// jsonState returns size bytes of JSON, the same every time.
func jsonState(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	status := []string{"open", "paid", "shipped"}
	var b []byte
	for len(b) < size {
		b = fmt.Appendf(b, `{"id":"order-%d","customer":"c%06d","lines":[{"sku":"A-%d","quantity":%d,"price":"%d.%02d"}],"status":%q},`,
			r.IntN(1e6), r.IntN(1e5), r.IntN(5000), r.IntN(20), r.IntN(500), r.IntN(100), status[r.IntN(3)])
	}
	return b[:size]
}

// randomState returns size incompressible bytes, the same every time.
func randomState(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// allocated returns the bytes that a call of f allocates, on average.
func allocated(runs int, f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / uint64(runs)
}
