package objectstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/snapstack/snapstack/store"
)

// Options configures a Store. The zero value keeps every snapshot and writes keys
// without a prefix.
type Options struct {
	// Prefix begins every key: nothing, or segments of 1 to 200 letters, digits,
	// '.', '_' and '-', not "." or "..", each followed by '/', to 800 bytes in all,
	// as "production/orders/".
	Prefix string

	// Keep is how many snapshots of an id remain at or below the one just saved;
	// 0 keeps all.
	Keep int

	// OnPruneError is told why a Save could not obey Keep; the Save has succeeded
	// all the same, and the next one of the id tries again. It is called before
	// the Save returns, or with PruneAsync later, possibly by several at once, and must
	// not close the store. Nil means nobody is told.
	OnPruneError func(error)

	// PruneAsync lets a Save return as soon as its snapshot is stored, and prunes after
	// that: once for all Saves of an id that returned before the prune began, never
	// twice at a time for an id, 16 at a time in all. A Save or Delete of the id
	// waits for a prune of it that runs. A prune has a minute. Where 1024 ids wait for
	// theirs already, a Save of another one prunes before it returns, which holds back
	// those who save faster than the bucket can prune. Close waits for all that are to
	// come.
	PruneAsync bool

	// CreateOnly makes a Save at a number that is taken fail with ErrExists, and leaves
	// what stands there. The bucket must be a Creator.
	CreateOnly bool

	// Now gives the timestamp of snapshots that are saved without one; nil means
	// time.Now.
	Now func() time.Time
}

// Store is a store.SnapshotStore in a Bucket. It is as durable as that is.
type Store struct {
	bucket Bucket
	put    func(ctx context.Context, key string, body []byte) error // of bucket: Put or Create
	opts   Options
	gate   store.Gate
	turns  turns
	prunes *prunes

	requests requests
}

const (
	// pageSize is how many keys a Delete or a prune lists and removes at a time: as
	// many as S3 takes.
	pageSize = 1000

	// maxGone is how often in a row a load may be told of the same object by a
	// listing and find it absent.
	maxGone = 10

	// aboveAll is a bound that every snapshot lies below.
	aboveAll = store.MaxSequenceNr + 1
)

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
	_ store.Keeper        = (*Store)(nil)
)

// New returns a Store over bucket, which its Close closes; after an error the bucket
// is still the caller's. It makes no request.
func New(bucket Bucket, opts Options) (*Store, error) {
	err := checkPrefix(opts.Prefix)
	creator, creates := bucket.(Creator)
	switch {
	case bucket == nil:
		err = fmt.Errorf("%w bucket: nil", store.ErrInvalid)
	case opts.CreateOnly && !creates:
		err = fmt.Errorf("%w CreateOnly: true; it is allowed with a bucket that is a Creator, which a %T is not", store.ErrInvalid, bucket)
	case opts.Keep < 0:
		err = fmt.Errorf("%w Keep %d; allowed are 0 (all) and more", store.ErrInvalid, opts.Keep)
	}
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("objectstore: %w", err))
	}
	put := bucket.Put
	if opts.CreateOnly {
		put = creator.Create
	}
	return &Store{bucket: bucket, put: put, opts: opts, prunes: newPrunes()}, nil
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
	snap.Timestamp = store.SaveTime(snap.Timestamp, s.opts.Now)
	object := encode(snap) // a copy of the state, which the bucket may read after this call has ended

	pruneErr, err := s.putAndPrune(ctx, snap.PersistenceID, snap.SequenceNr, object)
	if err != nil {
		return err
	}
	if pruneErr != nil {
		s.reportPrune(snap.PersistenceID, snap.SequenceNr, pruneErr)
	}
	return nil
}

func (s *Store) reportPrune(id string, sequenceNr uint64, err error) {
	if s.opts.OnPruneError != nil {
		s.opts.OnPruneError(store.Wrap(store.OpPrune, id, sequenceNr, err))
	}
}

// putAndPrune stores the object and then obeys Keep. When err is nil the object is
// stored, whatever pruneErr says. With PruneAsync it leaves the second part for later.
func (s *Store) putAndPrune(ctx context.Context, id string, sequenceNr uint64, object []byte) (pruneErr, err error) {
	put, done, err := s.turns.save(ctx, id)
	if err != nil {
		return nil, err
	}
	defer done()
	folder := s.folder(id)
	s.requests.puts.Add(1)
	err = s.put(ctx, folder+number(sequenceNr), object)
	put(sequenceNr)
	if err != nil {
		return nil, err
	}
	if s.opts.Keep == 0 || s.opts.PruneAsync && s.pruneLater(id, sequenceNr) {
		return nil, nil
	}
	return s.remove(ctx, folder, folder+number(sequenceNr), s.opts.Keep-1, nil), nil
}

// LoadLatest implements store.SnapshotStore.
func (s *Store) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	snap, err := s.load(ctx, store.OpLoadLatest, persistenceID, aboveAll)
	return snap, store.Wrap(store.OpLoadLatest, persistenceID, 0, err)
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := s.load(ctx, store.OpLoadBefore, persistenceID, sequenceNr)
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, sequenceNr, err)
}

// load returns the newest snapshot below the bound, for op. There is no
// store.Viewer here because it would save nothing: a bucket gives every load bytes
// of its own, and the state is a part of them.
func (s *Store) load(ctx context.Context, op, id string, below uint64) (store.Snapshot, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer s.gate.Leave()
	if err := store.CheckID(id); err != nil {
		return store.Snapshot{}, err
	}
	if below == 0 {
		return store.Snapshot{}, store.ErrNotFound
	}
	turn, err := s.turns.load(ctx, id, below)
	if err != nil {
		return store.Snapshot{}, err
	}
	defer turn.done()

	key, nr, body, err := s.getNewest(ctx, turn)
	if err != nil {
		return store.Snapshot{}, err
	}
	snap, err := decode(body, id, nr)
	if err != nil {
		err = fmt.Errorf("object %q: %w", key, err)
	}
	if errors.Is(err, store.ErrCorrupt) {
		err = store.Wrap(op, id, nr, err)
	}
	return snap, err
}

// getNewest returns the object of the newest snapshot below the bound of the load,
// or store.ErrNotFound.
//
// What it gets must be what it had listed, for that was the newest one at the moment
// of the listing. With 5 the newest, this could happen in between:
//
//   - Save(6) prunes 5: the get finds nothing, though there is a snapshot.
//   - Save(6) returns, then Save(5) with another state: the get would return a 5
//     that never was the newest, to a load that began before 6 was there.
//
// In both cases it starts again. Each round means that someone else got on with a
// write, so nothing but ctx bounds them.
func (s *Store) getNewest(ctx context.Context, turn *loadTurn) (key string, sequenceNr uint64, body []byte, err error) {
	var (
		before Object // what the round before had listed
		held   []byte // what it then got
		got    bool   // whether it got anything
		gone   int    // how often in a row the same was listed and absent
	)
	for {
		listed, nr, err := s.listNewest(ctx, turn)
		if err != nil {
			return "", 0, nil, err
		}
		if got && listed == before {
			// Unchanged from one listing to the next, and so at the get between them:
			// the tags of List and Get do not agree in this bucket.
			return listed.Key, nr, held, nil
		}
		s.requests.gets.Add(1)
		body, etag, err := s.bucket.Get(ctx, listed.Key)
		switch {
		case err == nil && etag == listed.ETag:
			return listed.Key, nr, body, nil
		case err == nil:
			before, held, got, gone = listed, body, true, 0
		case !errors.Is(err, ErrNoObject):
			return "", 0, nil, err
		case listed != before:
			before, got, gone = listed, false, 1
		default:
			// Nobody made progress: an index that names a lost object. Asking on for
			// ever would help nobody, and "not found" would not be true.
			if gone++; gone == maxGone {
				return "", 0, nil, fmt.Errorf("object %q: listed %d times in a row and absent each time", listed.Key, gone)
			}
		}
	}
}

// listNewest returns the object of the newest snapshot below the bound of the load,
// or store.ErrNotFound.
func (s *Store) listNewest(ctx context.Context, turn *loadTurn) (object Object, sequenceNr uint64, err error) {
	for {
		turn.listing()
		object, nr, err := s.listFirst(ctx, s.folder(turn.id), turn.below)
		above := nr + 1 // of the numbers from here on the listing shows nothing
		if errors.Is(err, store.ErrNotFound) {
			above = 0
		} else if err != nil {
			return Object{}, 0, err
		}
		if !turn.missed(above) {
			return object, nr, err
		}
	}
}

// listFirst returns the first object in the folder of a snapshot below the bound, or
// store.ErrNotFound.
func (s *Store) listFirst(ctx context.Context, folder string, below uint64) (object Object, sequenceNr uint64, err error) {
	after := keyBefore(folder, below)
	for limit := 1; ; limit = pageSize { // more than one only where a key in the folder is not the store's
		objects, more, err := s.list(ctx, folder, after, limit)
		if err != nil {
			return Object{}, 0, err
		}
		for _, object := range objects {
			if nr, ours := parseNumber(object.Key[len(folder):]); ours {
				return object, nr, nil
			}
			after = object.Key
		}
		if !more {
			return Object{}, 0, store.ErrNotFound
		}
	}
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
	if err := store.CheckID(persistenceID); err != nil {
		return err
	}
	done, err := s.turns.delete(ctx, persistenceID)
	if err != nil {
		return err
	}
	defer done()
	folder := s.folder(persistenceID)
	return s.remove(ctx, folder, keyBefore(folder, min(toSequenceNr, store.MaxSequenceNr)+1), 0, nil)
}

// remove deletes the snapshots in the folder that come after the key in listing
// order, but for the first keep of them. It leaves alone the keys in spared, and does not
// count them.
func (s *Store) remove(ctx context.Context, folder, after string, keep int, spared map[string]bool) error {
	for {
		objects, more, err := s.list(ctx, folder, after, pageSize)
		if err != nil {
			return err
		}
		var keys []string
		for _, object := range objects {
			after = object.Key
			if _, ours := parseNumber(object.Key[len(folder):]); !ours || spared[object.Key] {
				continue
			}
			if keep > 0 {
				keep--
				continue
			}
			keys = append(keys, object.Key)
		}
		if len(keys) > 0 {
			s.requests.deletes.Add(1)
			if err := s.bucket.Delete(ctx, keys); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// Close implements store.SnapshotStore. It waits for prunes and closes the bucket.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.prunes.running.Wait() // no Save is left that could add one
		return store.Wrap(store.OpClose, "", 0, s.bucket.Close())
	})
}

// folder returns what the keys of the id begin with.
func (s *Store) folder(id string) string { return s.opts.Prefix + escape(id) + "/" }

// keyBefore returns the key after which those of the snapshots below the bound
// stand in the folder.
func keyBefore(folder string, bound uint64) string {
	if bound > store.MaxSequenceNr {
		return ""
	}
	return folder + number(bound)
}

// list lists the bucket, and checks the answer as far as loops rely on it.
func (s *Store) list(ctx context.Context, prefix, after string, limit int) ([]Object, bool, error) {
	s.requests.lists.Add(1)
	objects, more, err := s.bucket.List(ctx, prefix, after, limit)
	if err != nil {
		return nil, false, err
	}
	if more && len(objects) == 0 {
		return nil, false, fmt.Errorf("bucket lists nothing after %q, but says that more follows", after)
	}
	last := after
	for _, object := range objects {
		if !strings.HasPrefix(object.Key, prefix) || object.Key <= last {
			return nil, false, fmt.Errorf("bucket lists %q after %q; want keys that begin with %q, in byte order", object.Key, last, prefix)
		}
		last = object.Key
	}
	return objects, more, nil
}
