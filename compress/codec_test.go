package compress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
)

// Whoever works on a frame has a worker for it, however large the state is.
func TestEveryFrameNeedsAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, err := memory.New(memory.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(inner, Options{Concurrency: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		states := map[string][]byte{
			"small": bytes.Repeat([]byte("small "), 100),
			"large": bytes.Repeat([]byte("large "), 500_000),
		}
		for id, state := range states {
			if err := s.Save(t.Context(), store.Snapshot{PersistenceID: id, SequenceNr: 1, State: state}); err != nil {
				t.Fatal(err)
			}
		}
		var taken []*worker // by somebody who works on frames
		for range 2 {
			w, err := s.codec.workers.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			taken = append(taken, w)
		}
		for id, state := range states {
			for name, call := range map[string]func(ctx context.Context) error{
				"Save": func(ctx context.Context) error {
					return s.Save(ctx, store.Snapshot{PersistenceID: id, SequenceNr: 2, State: state})
				},
				"LoadLatest": func(ctx context.Context) error { _, err := s.LoadLatest(ctx, id); return err },
				"LoadBefore": func(ctx context.Context) error { _, err := s.LoadBefore(ctx, id, 9); return err },
				"ViewLatest": func(ctx context.Context) error {
					return s.ViewLatest(ctx, id, func(store.Snapshot) error { return nil })
				},
			} {
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- call(ctx) }()
				synctest.Wait()
				select {
				case err := <-done:
					t.Errorf("%s of a %s state returned %v without a worker", name, id, err)
				default:
					cancel()
					if err := <-done; !errors.Is(err, context.Canceled) {
						t.Errorf("%s of a %s state, whose context ended: %v", name, id, err)
					}
				}
				cancel()
			}
		}
		for _, w := range taken {
			s.codec.workers.give(w)
		}
		for id, state := range states {
			if snap, err := s.LoadLatest(t.Context(), id); err != nil || !bytes.Equal(snap.State, state) || snap.SequenceNr != 1 {
				t.Errorf("LoadLatest of a %s state gave number %d, %v", id, snap.SequenceNr, err)
			}
		}
	})
}

func TestIncompressible(t *testing.T) {
	c, err := newCodec(Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	w, err := c.workers.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.workers.give(w)
	random := make([]byte, frameSize)
	rand.NewChaCha8([32]byte{2}).Read(random) // never fails
	text := bytes.Repeat([]byte("some text, which repeats itself. "), frameSize/33+1)[:frameSize]
	hexadecimal := make([]byte, frameSize)
	for i, b := range random {
		hexadecimal[i] = "0123456789abcdef"[b>>4]
	}
	with := func(from, to int, content []byte) []byte {
		mixed := bytes.Clone(random)
		copy(mixed[from:to], content[from:to])
		return mixed
	}
	for name, test := range map[string]struct {
		content []byte
		want    bool
	}{
		"random":                 {random, true},
		"random, 64 KiB":         {random[:sampledSize], true},
		"random, below":          {random[:sampledSize-1], false}, // not looked at
		"text":                   {text, false},
		"hexadecimal digits":     {hexadecimal, false},
		"repeats itself":         {bytes.Repeat(random[:700], 1000), false}, // with all bytes equally often
		"zeros":                  {make([]byte, frameSize), false},
		"text behind random":     {with(frameSize-2000, frameSize, text), false},
		"text before random":     {with(0, 2000, text), false},
		"70 KB of text within":   {with(300_000, 372_000, text), false},
		"70 KB, from elsewhere":  {with(333_333, 405_333, text), false},
		"random behind text":     {with(0, frameSize/2, text), false},
		"random before text":     {with(frameSize/2, frameSize, text), false},
		"a sixteenth of a state": {with(0, frameSize/16, text), false},
	} {
		if got := c.incompressible(w, test.content); got != test.want {
			t.Errorf("%s: incompressible %v; want %v", name, got, test.want)
		}
	}
}

// What is incompressible never meets the encoder, which is what takes time.
func TestIncompressibleStatesAreNotEncoded(t *testing.T) {
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(inner, Options{Level: Best, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.codec.workers.idle[0].encoder = nil
	state := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{3}).Read(state) // never fails
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "random", SequenceNr: 1, State: state}); err != nil {
		t.Fatal(err)
	}
	if snap, err := s.LoadLatest(t.Context(), "random"); err != nil || !bytes.Equal(snap.State, state) {
		t.Errorf("LoadLatest gave %d bytes, %v", len(snap.State), err)
	}
}

// Until all frames of a state are ready, those that are hold a buffer of about their
// own size, not of that of their content.
func TestEncodedFramesWaitInSmallBuffers(t *testing.T) {
	c, err := newCodec(Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	random := make([]byte, frameSize)
	rand.NewChaCha8([32]byte{5}).Read(random) // never fails
	state := append(bytes.Repeat([]byte("some text, "), frameSize/11), random...)
	w, err := c.workers.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.workers.give(w)
	text := c.encodePart(w, state, 0, 2)
	if text.encoded == nil || len(*text.encoded) > max(text.size*5/4, minBufferSize) {
		t.Errorf("a frame of text, of %d bytes, is in a buffer %v", text.size, text.encoded != nil)
	}
	if raw := c.encodePart(w, state, 1, 2); raw.encoded != nil {
		t.Error("a raw frame is in a buffer")
	}
}

// A worker made later has the dictionaries that New was given, whatever became of them.
func TestLaterWorkersHaveTheDictionaries(t *testing.T) {
	var samples [][]byte
	for n := range 100 {
		samples = append(samples, fmt.Appendf(nil, `{"number in the sequence":%d,"its square":%d}`, n, n*n))
	}
	dictionary, err := Train(samples, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	dictionaries := [][]byte{dictionary}
	c, err := newCodec(Options{Dictionaries: dictionaries, Concurrency: 2}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	clear(dictionary)
	dictionaries[0] = nil
	for range 2 {
		w, err := c.workers.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.workers.give(w)
		got, err := w.decoder.DecodeAll(w.dictEncoder.EncodeAll(samples[7], nil), make([]byte, 0, 1000))
		if err != nil || !bytes.Equal(got, samples[7]) {
			t.Errorf("decoded %q, %v; want %q", got, err, samples[7])
		}
	}
}

func TestTrainLooksAtSixteenMegabytesEvenly(t *testing.T) {
	first, second := bytes.Repeat([]byte{1}, maxWithDictionary+1), bytes.Repeat([]byte{2}, maxWithDictionary+1)
	samples := make([][]byte, 500)
	for i := range samples {
		samples[i] = first[i%8*1000:]
		if i >= len(samples)/2 {
			samples[i] = second[i%8*1000:]
		}
	}
	samples[3] = first[:segmentHash-1]
	used := trainable(samples)
	total, seconds := 0, 0
	for _, sample := range used {
		if len(sample) > maxWithDictionary || len(sample) < segmentHash {
			t.Fatalf("a sample of %d bytes is looked at", len(sample))
		}
		total += len(sample)
		seconds += int(sample[0]) - 1
	}
	if firsts := len(used) - seconds; firsts < seconds-2 || firsts > seconds+2 {
		t.Errorf("%d of the first samples and %d of the others are looked at", firsts, seconds)
	}
	if total > maxTrainedBytes || total < maxTrainedBytes*9/10 {
		t.Errorf("%d bytes are looked at; want up to %d", total, maxTrainedBytes)
	}
	few := trainable(samples[:50])
	if len(few) != 49 {
		t.Errorf("%d of 49 samples are looked at", len(few))
	}
}

func TestRawFrameSize(t *testing.T) {
	for _, size := range []int{1, 255, 256, 65536 + 255, 65536 + 256, maxBlockSize - 1, maxBlockSize, maxBlockSize + 1, frameSize} {
		if got, want := rawFrameSize(size), len(appendRawFrame(nil, make([]byte, size))); got != want {
			t.Errorf("rawFrameSize(%d) = %d; want %d", size, got, want)
		}
	}
}
