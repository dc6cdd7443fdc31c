package encrypt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/snapstack/snapstack/store"
)

// Mode says what is done to states.
type Mode byte

// The modes. Their values are part of the format.
const (
	Seal Mode = 1 // neither read nor altered
	Sign Mode = 2 // read, but not altered
)

// ParseMode returns the mode of that name, seal or sign, in any case of letters, or
// ErrInvalid.
func ParseMode(name string) (Mode, error) {
	switch strings.ToLower(name) {
	case "seal":
		return Seal, nil
	case "sign":
		return Sign, nil
	}
	return 0, fmt.Errorf("encrypt: %w Mode %q; allowed are seal and sign", store.ErrInvalid, name)
}

// String returns the name of the mode.
func (m Mode) String() string {
	switch m {
	case Seal:
		return "seal"
	case Sign:
		return "sign"
	}
	return fmt.Sprintf("Mode(%d)", byte(m))
}

// Options configures a Store. Keys and Context are required.
type Options struct {
	// Keys gives the master keys, in New and in Reload.
	Keys KeySource

	// Context names what the keys are used for, as "acme/prod/snapshots": 1 to 255
	// bytes. States can only be read in the one that they were saved in, so that what
	// one system stores can't be slipped to another that has the same keys.
	Context string

	// Mode is what Save does; 0 means Seal. Loads read both, but with Seal a signed
	// state only with Migrate.
	Mode Mode

	// Migrate accepts what is less than Mode asks for: states from before the wrapper
	// was added, and with Seal signed ones.
	Migrate bool

	// Now gives the timestamp of snapshots that are saved without one, since that is
	// authenticated; nil means time.Now.
	Now func() time.Time

	// Rand gives the nonces, and is called concurrently; nil means crypto/rand.
	Rand io.Reader
}

// Stats is what a Store has done since it was made.
type Stats struct {
	Plain  int64 // loads of states that were neither sealed nor signed, with Migrate
	Signed int64 // loads of signed states where sealed are wanted, with Migrate
}

// Store is the wrapper that seals or signs states. Operations are as durable and as
// consistent as those of the store beneath.
type Store struct {
	inner store.SnapshotStore
	gate  store.Gate
	opts  Options
	keys  atomic.Pointer[ring]

	// locks keep Rewrap of an id and its writers in this process apart. An id has the
	// one that its hash says.
	locks [64]*semaphore.Weighted
	seed  maphash.Seed

	buffers buffers

	plain, signed atomic.Int64
}

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Wrapper       = (*Store)(nil)
	_ store.Viewer        = (*Store)(nil)
)

const maxContext = 255

// New returns a Store over inner, which it closes when it is closed itself.
func New(inner store.SnapshotStore, opts Options) (*Store, error) {
	s, err := newStore(inner, opts)
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("encrypt: %w", err))
	}
	return s, nil
}

func newStore(inner store.SnapshotStore, opts Options) (*Store, error) {
	switch {
	case inner == nil:
		return nil, fmt.Errorf("%w inner store: nil", store.ErrInvalid)
	case opts.Keys == nil:
		return nil, fmt.Errorf("%w Keys: nil; allowed are File, Env and functions of your own", store.ErrInvalid)
	case len(opts.Context) < 1 || len(opts.Context) > maxContext:
		return nil, fmt.Errorf("%w Context of %d bytes; allowed are 1 to %d, as acme/prod/snapshots", store.ErrInvalid, len(opts.Context), maxContext)
	case opts.Mode != 0 && opts.Mode != Seal && opts.Mode != Sign:
		return nil, fmt.Errorf("%w Mode %d; allowed are Seal and Sign", store.ErrInvalid, opts.Mode)
	}
	if opts.Mode == 0 {
		opts.Mode = Seal
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Rand == nil {
		opts.Rand = rand.Reader
	}
	s := &Store{inner: inner, opts: opts, seed: maphash.MakeSeed()}
	for i := range s.locks {
		s.locks[i] = semaphore.NewWeighted(math.MaxInt64)
	}
	keys, err := readKeys(opts.Keys, opts.Context)
	if err != nil {
		return nil, err
	}
	s.keys.Store(keys)
	return s, nil
}

// Reload reads the keys anew. After an error the Store goes on with those it has. Calls
// in flight may still use them.
func (s *Store) Reload() error {
	keys, err := readKeys(s.opts.Keys, s.opts.Context)
	if err != nil {
		return store.Wrap(store.OpOpen, "", 0, fmt.Errorf("encrypt: %w", err))
	}
	s.keys.Store(keys)
	return nil
}

// ActiveKey returns the number of the key that Save uses.
func (s *Store) ActiveKey() uint32 { return s.keys.Load().active }

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
	unlock, err := s.lock(ctx, snap.PersistenceID, 1)
	if err != nil {
		return err
	}
	defer unlock()
	snap.Timestamp = store.SaveTime(snap.Timestamp, s.opts.Now)
	buffer := s.buffers.get(maxBlob(len(snap.State)))
	defer s.buffers.put(buffer) // the inner store keeps no reference to what it was given
	snap.State, err = s.keys.Load().encode(*buffer, snap, s.opts.Mode, s.opts.Rand)
	if err != nil {
		return err
	}
	return s.inner.Save(ctx, snap)
}

// LoadLatest implements store.SnapshotStore.
func (s *Store) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	snap, err := s.load(ctx, store.OpLoadLatest, func() (store.Snapshot, error) { return s.inner.LoadLatest(ctx, persistenceID) })
	return snap, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := s.load(ctx, store.OpLoadBefore, func() (store.Snapshot, error) { return s.inner.LoadBefore(ctx, persistenceID, sequenceNr) })
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
}

func (s *Store) load(ctx context.Context, op string, inner func() (store.Snapshot, error)) (store.Snapshot, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer s.gate.Leave()
	snap, err := inner()
	if err != nil {
		return store.Snapshot{}, err
	}
	// The blob is ours, so it can be opened in its own place.
	state, err := s.open(snap, inPlace)
	if err != nil {
		return store.Snapshot{}, loadError(op, snap, err)
	}
	snap.State = state
	return snap, nil
}

// ViewLatest implements store.Viewer. What was sealed is opened into memory that is
// cleared after view; a signed state is lent as the store beneath lends it.
func (s *Store) ViewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot) error) error {
	var viewErr error // not told to the inner store: it could be taken for an error of that
	err := s.viewLatest(ctx, persistenceID, func(snap store.Snapshot) { viewErr = view(snap) })
	if err != nil {
		return store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
	}
	return viewErr
}

func (s *Store) viewLatest(ctx context.Context, persistenceID string, view func(store.Snapshot)) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	return store.ViewLatest(ctx, s.inner, persistenceID, func(snap store.Snapshot) error {
		var opened *[]byte
		defer func() {
			if opened != nil {
				clear((*opened)[:len(snap.State)])
				s.buffers.put(opened)
			}
		}()
		state, err := s.open(snap, func(blob []byte) []byte {
			opened = s.buffers.get(len(blob))
			return *opened
		})
		if err != nil {
			return loadError(store.OpLoadLatest, snap, err)
		}
		snap.State = state
		view(snap)
		return nil
	})
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
	unlock, err := s.lock(ctx, persistenceID, 1)
	if err != nil {
		return err
	}
	defer unlock()
	return s.inner.Delete(ctx, persistenceID, toSequenceNr)
}

// Close implements store.SnapshotStore.
func (s *Store) Close() error { return s.gate.Close(s.inner.Close) }

// Unwrap implements store.Wrapper.
func (s *Store) Unwrap() store.SnapshotStore { return s.inner }

// Stats returns what has happened so far.
func (s *Store) Stats() Stats { return Stats{Plain: s.plain.Load(), Signed: s.signed.Load()} }

// Format implements fmt.Formatter: whatever the verb, it prints the name of the type
// and the number of the active key, and nothing of any key.
func (s *Store) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "encrypt.Store(key %d)", s.ActiveKey()) }

// inPlace has a sealed state opened where it stands.
func inPlace(blob []byte) []byte { return blob[headerSize+xaesNonceSize:][:0] }

// open returns the state of what the store beneath gave. A sealed one is opened into
// what place returns for the blob.
func (s *Store) open(stored store.Snapshot, place func(blob []byte) []byte) ([]byte, error) {
	if !isBlob(stored.State) {
		if !s.opts.Migrate {
			return nil, corrupt("neither sealed nor signed; Migrate accepts states from before the wrapper was added")
		}
		s.plain.Add(1)
		return stored.State, nil
	}
	h, err := parseHeader(stored.State)
	if err != nil {
		return nil, err
	}
	if h.mode == Sign && s.opts.Mode == Seal && !s.opts.Migrate {
		return nil, fmt.Errorf("encrypt: signed, where sealed is wanted; Migrate accepts it: %w", errors.ErrUnsupported)
	}
	if h.mode == Seal && len(stored.State) < minSealed {
		return nil, corrupt("%d bytes are too few", len(stored.State))
	}
	var dst []byte
	if h.mode == Seal {
		dst = place(stored.State)
	}
	state, err := s.keys.Load().decode(stored.State, h, stored, dst)
	if err == nil && h.mode == Sign && s.opts.Mode == Seal {
		s.signed.Add(1)
	}
	return state, err
}

// lock takes a share of the lock of the id.
func (s *Store) lock(ctx context.Context, id string, share int64) (unlock func(), err error) {
	l := s.locks[maphash.String(s.seed, id)%uint64(len(s.locks))]
	if err := l.Acquire(ctx, share); err != nil {
		return nil, err
	}
	return func() { l.Release(share) }, nil
}

// loadError returns err as that of a load which found snap. The number belongs in
// the error's own field only where the snapshot is corrupt.
func loadError(op string, snap store.Snapshot, err error) error {
	if errors.Is(err, store.ErrCorrupt) {
		return store.Wrap(op, snap.PersistenceID, snap.SequenceNr, err)
	}
	return fmt.Errorf("snapshot at %d: %w", snap.SequenceNr, err)
}
