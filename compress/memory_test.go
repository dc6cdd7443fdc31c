package compress_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"github.com/snapstack/snapstack/compress"
	"github.com/snapstack/snapstack/store"
)

// What a burst of large saves and views leaves behind is the encoders, as the package
// doc says: of 8 states of 8 MB at once, both ways, 6 MB stay.
func TestMemoryHeldAfterABurst(t *testing.T) {
	if raceEnabled {
		t.Skip("-race has memory of its own")
	}
	state := jsonState(8 << 20)
	dictionary := mustTrain(t, accountStates(1, 300), 64<<10)
	small := accountStates(9, 1)[0]
	const concurrency = 2
	for _, test := range []struct {
		level    compress.Level
		with     bool // a dictionary
		eachHeld int  // bytes, of each encoder
	}{
		{compress.Fastest, false, 4 << 20},
		{compress.Default, false, 5 << 20},
		{compress.Better, false, 8 << 20},
		{compress.Best, false, 40 << 20},
		{compress.Fastest, true, 6 << 20},
		{compress.Best, true, 50 << 20},
	} {
		t.Run(fmt.Sprintf("%s, dictionary %v", test.level, test.with), func(t *testing.T) {
			before := heap()
			opts := compress.Options{Level: test.level, Concurrency: concurrency}
			if test.with {
				opts.Dictionaries = [][]byte{dictionary}
			}
			inner := &fixed{keep: true}
			s := mustNew(t, inner, opts)
			saved := state
			if test.level == compress.Best {
				saved = state[:2<<20] // it takes half a second for 8 MB, and no more memory
			}
			mustSave(t, s, 1, saved)
			inner.keep = false
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for _, state := range [][]byte{saved, small} {
						if err := s.Save(t.Context(), snapshot(1, state)); err != nil {
							t.Error(err)
						}
					}
					if err := s.ViewLatest(t.Context(), id, func(store.Snapshot) error { return nil }); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			inner.blob = nil
			if held := heap() - before; held > concurrency*test.eachHeld {
				t.Errorf("%d bytes held after the burst; want at most %d", held, concurrency*test.eachHeld)
			} else {
				t.Logf("%.1f MB held", float64(held)/1e6)
			}
			mustClose(t, s)
		})
	}
}

// While the store beneath is busy with large states, what they were encoded in has
// been given back: only the blobs are held.
func TestMemoryHeldDuringABurst(t *testing.T) {
	if raceEnabled {
		t.Skip("-race has memory of its own")
	}
	state := jsonState(8 << 20)
	const callers, concurrency = 16, 2
	arrived, goOn := make(chan int, callers), make(chan struct{})
	s := mustNew(t, watchedSave{&fixed{}, func(snap store.Snapshot) {
		arrived <- len(snap.State)
		<-goOn
	}}, compress.Options{Concurrency: concurrency})
	defer mustClose(t, s)
	before := heap()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if err := s.Save(t.Context(), snapshot(1, state)); err != nil {
				t.Error(err)
			}
		})
	}
	blobs := 0
	for range callers {
		blobs += <-arrived
	}
	// A buffer is at most a quarter larger than what is in it.
	if held, most := heap()-before, blobs*5/4+concurrency*(4<<20); held > most {
		t.Errorf("%d bytes held while %d bytes of blobs are saved; want at most %d", held, blobs, most)
	}
	close(goOn)
	wg.Wait()
}

// No call makes an encoder, a decoder or a buffer, and nothing grows with the state but
// what LoadLatest returns.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("under -race a sync.Pool drops buffers at random")
	}
	// A garbage collection would empty the pools in between.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, size := range []int{100, 1000, 64 << 10, 4 << 20} {
		inner := &fixed{keep: true}
		s := mustNew(t, inner, compress.Options{Concurrency: 2})
		state := jsonState(size)
		mustSave(t, s, 1, state)
		inner.keep = false
		ctx := t.Context()
		for name, test := range map[string]struct {
			call  func() error
			count float64 // of allocations
			bytes uint64  // allocated
		}{
			"Save":       {func() error { return s.Save(ctx, snapshot(1, state)) }, 30, 2 << 10},
			"ViewLatest": {func() error { return s.ViewLatest(ctx, id, func(store.Snapshot) error { return nil }) }, 30, 2 << 10},
			"LoadLatest": {func() error { _, err := s.LoadLatest(ctx, id); return err }, 30, uint64(size+size/4) + 2<<10},
		} {
			if size <= 1<<20 { // a single frame
				test.count = 3
			}
			call := func() {
				if err := test.call(); err != nil {
					t.Fatal(err)
				}
			}
			call()
			if got := testing.AllocsPerRun(10, call); got > test.count {
				t.Errorf("%s of %d bytes: %v allocations; want at most %v", name, size, got, test.count)
			}
			// What is in the pool of another processor is not at hand now and then.
			if got := min(allocated(5, call), allocated(5, call), allocated(5, call)); got > test.bytes {
				t.Errorf("%s of %d bytes allocated %d; want at most %d", name, size, got, test.bytes)
			}
		}
		mustClose(t, s)
	}
}

// heap returns the bytes in use, without what pools would let go of.
func heap() int {
	for range 3 {
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
