package compress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/snapstack/snapstack/store"
)

// Options configures a Store. The zero value is a good default.
type Options struct {
	// Level is how hard Save tries; "" means Fastest. What the slower levels save
	// on JSON is a few percent of the size (see there), and it is Save that waits.
	Level Level

	// MinBytes is the size in bytes below which a state is stored as it is, behind
	// the header; 0 means 256, or 64 with Dictionaries, and a negative number
	// compresses every state. Pieces of JSON below 256 bytes came out at most 15 %
	// smaller and up to 6 % larger, those just above it a third smaller; with a
	// dictionary those of 80 bytes came out a third smaller, of 50 a fifth. Stored as it
	// is, a state is also loaded without decoding.
	MinBytes int

	// MaxDecodedBytes is the greatest size in bytes of a state; 0 means 512 MiB. A
	// Save above it is ErrTooLarge and reaches nothing, and so is a load of a
	// stored state that decodes to more, before any memory is taken for it. States
	// from before the wrapper are not held to it.
	MaxDecodedBytes int64

	// Dictionaries make small states, of 200 bytes to 4 KiB, much smaller than zstd can
	// alone: see Train. The first compresses states of up to 128 KiB; all serve to
	// decompress, each what was saved with it. So keep an old one behind a new one for
	// as long as there may be snapshots of it. Allowed are dictionaries in zstd's
	// format, no two with the same id. Nil is none. New keeps no reference to them.
	Dictionaries [][]byte

	// Concurrency is how many frames, of up to 1 MiB, are compressed and
	// decompressed at once, over all callers; 0 means GOMAXPROCS. At most 1024.
	Concurrency int
}

const (
	defaultMinBytes               = 256
	defaultMinBytesWithDictionary = 64
	defaultMaxDecodedBytes        = 512 << 20
	maxConcurrency                = 1024
)

// Check returns an error matching store.ErrInvalid unless New accepts the options.
func (o Options) Check() error {
	if o.Level != "" {
		if _, err := ParseLevel(string(o.Level)); err != nil {
			return err
		}
	}
	if o.MaxDecodedBytes < 0 || o.MaxDecodedBytes > math.MaxInt {
		return fmt.Errorf("compress: %w MaxDecodedBytes %d; allowed are 0 (for %d) to %d", store.ErrInvalid, o.MaxDecodedBytes, defaultMaxDecodedBytes, math.MaxInt)
	}
	if o.Concurrency < 0 || o.Concurrency > maxConcurrency {
		return fmt.Errorf("compress: %w Concurrency %d; allowed are 0 (for GOMAXPROCS) to %d", store.ErrInvalid, o.Concurrency, maxConcurrency)
	}
	_, err := dictionaryIDs(o.Dictionaries)
	return err
}

// withDefaults returns the options with what 0 and "" stand for.
func (o Options) withDefaults() Options {
	if o.Level == "" {
		o.Level = Fastest
	}
	if o.MinBytes == 0 {
		o.MinBytes = defaultMinBytes
		if len(o.Dictionaries) > 0 {
			o.MinBytes = defaultMinBytesWithDictionary
		}
	}
	if o.MaxDecodedBytes == 0 {
		o.MaxDecodedBytes = defaultMaxDecodedBytes
	}
	if o.Concurrency == 0 {
		o.Concurrency = min(runtime.GOMAXPROCS(0), maxConcurrency)
	}
	return o
}

// Store is the wrapper that compresses states. Operations are as durable and as
// consistent as those of the store beneath.
//
// A load of a damaged state is store.ErrCorrupt. A load of a state written by a
// later version of this package, in a format not known here, is an error that
// matches errors.ErrUnsupported.
type Store struct {
	inner store.SnapshotStore
	gate  store.Gate
	codec *codec

	readings readings
	counters counters
}

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Wrapper       = (*Store)(nil)
	_ store.Viewer        = (*Store)(nil)
)

// New returns a Store over inner, which it closes when it is closed itself.
func New(inner store.SnapshotStore, opts Options) (*Store, error) {
	s, err := newStore(inner, opts)
	return s, store.Wrap(store.OpOpen, "", 0, err)
}

func newStore(inner store.SnapshotStore, opts Options) (*Store, error) {
	if inner == nil {
		return nil, fmt.Errorf("compress: %w inner store: nil", store.ErrInvalid)
	}
	if err := opts.Check(); err != nil {
		return nil, err
	}
	codec, err := newCodec(opts.withDefaults())
	if err != nil {
		return nil, err
	}
	return &Store{inner: inner, codec: codec}, nil
}

// Save implements store.SnapshotStore.
func (s *Store) Save(ctx context.Context, snap store.Snapshot) error {
	return store.Wrap(store.OpSave, snap.PersistenceID, snap.SequenceNr, s.save(ctx, snap))
}

func (s *Store) save(ctx context.Context, snap store.Snapshot) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckSave(snap); err != nil {
		return err
	}
	if size := int64(len(snap.State)); size > s.codec.maxBytes {
		return fmt.Errorf("compress: %w: %d bytes; allowed by MaxDecodedBytes are %d", store.ErrTooLarge, size, s.codec.maxBytes)
	}
	blob, buffer, err := s.codec.encode(ctx, snap.State)
	if err != nil {
		return err
	}
	defer s.codec.buffers.put(buffer) // inner keeps no reference to what it was given
	size := len(snap.State)
	snap.State = blob
	if err := s.inner.Save(ctx, snap); err != nil {
		return err
	}
	s.counters.saved(size, len(blob))
	return nil
}

// LoadLatest implements store.SnapshotStore.
func (s *Store) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	snap, err := s.loadLatest(ctx, persistenceID)
	return snap, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
}

func (s *Store) loadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer s.gate.Leave()
	r := s.readings.get(ctx, s, nil)
	err := store.ViewLatest(ctx, s.inner, persistenceID, r.visit)
	snap := r.snap
	s.readings.put(r)
	if err != nil {
		return store.Snapshot{}, err
	}
	return snap, nil
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := s.loadBefore(ctx, persistenceID, sequenceNr)
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
}

func (s *Store) loadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer s.gate.Leave()
	stored, err := s.inner.LoadBefore(ctx, persistenceID, sequenceNr)
	if err != nil {
		return store.Snapshot{}, err
	}
	return s.decoded(ctx, store.OpLoadBefore, stored)
}

// ViewLatest implements store.Viewer. The state lent is in a buffer that is used
// again, or the one that the store beneath lends where that holds the state as it
// is.
func (s *Store) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	viewErr, err := s.viewLatest(ctx, persistenceID, view)
	if err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	return viewErr
}

// viewLatest returns the error of view, to be returned as it is, apart from its own.
func (s *Store) viewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) (viewErr, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	r := s.readings.get(ctx, s, view)
	err = store.ViewLatest(ctx, s.inner, persistenceID, r.visit)
	viewErr = r.viewErr
	s.readings.put(r)
	return viewErr, err
}

// lend replaces the stored state of snap by what it decodes to, and returns the buffer
// that this is in, if it is not where it was.
func (s *Store) lend(ctx context.Context, snap *store.Snapshot) (*[]byte, error) {
	if !isBlob(snap.State) {
		s.counters.plain.Add(1)
		return nil, nil
	}
	var space [1]frame
	b, err := s.codec.parse(snap.State, space[:])
	if err != nil {
		return nil, loadError(store.OpLoadLatest, *snap, err)
	}
	if len(b.frames) == 1 && b.frames[0].raw != nil {
		snap.State = b.frames[0].raw
		return nil, nil
	}
	buffer := s.codec.buffers.get(b.size + decoderSlack)
	state := (*buffer)[:b.size]
	if err := s.codec.decode(ctx, b, state); err != nil {
		s.codec.buffers.put(buffer)
		return nil, loadError(store.OpLoadLatest, *snap, err)
	}
	snap.State = state[:b.size:b.size]
	return buffer, nil
}

// Delete implements store.SnapshotStore.
func (s *Store) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return store.Wrap(store.OpDelete, persistenceID, toSequenceNr, s.delete(ctx, persistenceID, toSequenceNr))
}

func (s *Store) delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	return s.inner.Delete(ctx, persistenceID, toSequenceNr)
}

// Close implements store.SnapshotStore.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.codec.close()
		return s.inner.Close()
	})
}

// Unwrap implements store.Wrapper.
func (s *Store) Unwrap() store.SnapshotStore { return s.inner }

// decoded returns a stored snapshot with its state in memory of its own, exactly
// as large.
func (s *Store) decoded(ctx context.Context, op string, snap store.Snapshot) (store.Snapshot, error) {
	if !isBlob(snap.State) {
		s.counters.plain.Add(1)
		snap.State = bytes.Clone(snap.State)
		return snap, nil
	}
	var space [1]frame
	b, err := s.codec.parse(snap.State, space[:])
	if err != nil {
		return store.Snapshot{}, loadError(op, snap, err)
	}
	// Room that the allocator gives anyway, rounding up, is the decoder's slack.
	state := slices.Grow([]byte(nil), b.size)[:b.size]
	if err := s.codec.decode(ctx, b, state); err != nil {
		return store.Snapshot{}, loadError(op, snap, err)
	}
	snap.State = state[:b.size:b.size]
	return snap, nil
}

// loadError returns err as that of a load which found snap. The number belongs in
// the error's own field only where the snapshot is corrupt.
func loadError(op string, snap store.Snapshot, err error) error {
	if errors.Is(err, store.ErrCorrupt) {
		return store.Wrap(op, snap.PersistenceID, snap.SequenceNr, err)
	}
	return fmt.Errorf("snapshot at %d: %w", snap.SequenceNr, err)
}
