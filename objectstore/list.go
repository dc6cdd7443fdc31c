package objectstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/snapstack/snapstack/store"
)

// listPageSize is how many keys a List asks for at a time. S3 gives 1000 of them;
// a directory reads the names of all ids anew for every page.
const listPageSize = 10_000

// Keep implements store.Keeper.
func (s *Store) Keep() int { return s.opts.Keep }

// List implements store.Lister. The ids come in byte order of their escapes. For
// an id whose escape is a hash it reads one of its objects.
func (s *Store) List(ctx context.Context, persistenceID string) iter.Seq2[store.Info, error] {
	prefix := s.opts.Prefix
	if persistenceID != "" {
		if err := store.CheckID(persistenceID); err != nil {
			return store.ListError(persistenceID, err)
		}
		prefix = s.folder(persistenceID)
	}
	return func(yield func(store.Info, error) bool) {
		if err := s.eachInfo(ctx, prefix, persistenceID, yield); err != nil {
			yield(store.Info{}, store.Wrap(store.OpList, persistenceID, 0, err))
		}
	}
}

// eachInfo yields the snapshots under the prefix, which is that of the id where one
// is given, until yield returns false.
func (s *Store) eachInfo(ctx context.Context, prefix, id string, yield func(store.Info, error) bool) error {
	var (
		after  string
		folder string // the one at hand, with its prefix
		named  string // its id; empty when the folder isn't the store's, or is being deleted
	)
	if id != "" {
		folder, named = prefix, id
	}
	for {
		objects, more, err := s.listPage(ctx, prefix, after)
		if err != nil {
			return err
		}
		for _, object := range objects {
			after = object.Key
			slash := strings.LastIndexByte(object.Key, '/') + 1
			nr, ours := parseNumber(object.Key[slash:])
			if !ours {
				continue
			}
			if object.Key[:slash] != folder {
				folder = object.Key[:slash]
				if named, err = s.idOf(ctx, folder, object.Key); err != nil {
					return err
				}
			}
			if named == "" {
				continue
			}
			size := max(0, object.Size-int64(envelopeSize+len(named))) // 0 for one that was cut
			if !yield(store.Info{PersistenceID: named, SequenceNr: nr, StoredBytes: size}, nil) {
				return nil
			}
		}
		if !more {
			return nil
		}
	}
}

func (s *Store) listPage(ctx context.Context, prefix, after string) (objects []Object, more bool, err error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, false, err
	}
	defer s.gate.Leave()
	return s.list(ctx, prefix, after, listPageSize)
}

// idOf returns the id whose objects are in the folder, of which first is one. It
// returns "" where the folder is not one of the store's, or where all of its
// objects went meanwhile.
func (s *Store) idOf(ctx context.Context, folder, first string) (string, error) {
	segment := strings.TrimSuffix(folder[len(s.opts.Prefix):], "/")
	id, hashed, ok := unescape(segment)
	if !ok || !hashed {
		return id, nil // "" where it is not ok
	}
	if err := s.gate.Enter(ctx); err != nil {
		return "", err
	}
	defer s.gate.Leave()

	// Usually the first object tells. Where it was removed or is damaged, another
	// will do: all of the folder carry the id.
	var damaged error
	for key := first; ; {
		if nr, ours := parseNumber(key[len(folder):]); ours {
			id, err := s.idIn(ctx, segment, key)
			switch {
			case errors.Is(err, store.ErrCorrupt):
				damaged = store.Wrap(store.OpList, "", nr, err)
			case id != "" || err != nil:
				return id, err
			}
		}
		objects, _, err := s.list(ctx, folder, key, 1)
		if err != nil {
			return "", err
		}
		if len(objects) == 0 {
			return "", damaged
		}
		key = objects[0].Key
	}
}

// idIn returns the id that the object at key carries, whose escape is segment. It
// returns "" where there is no such object.
func (s *Store) idIn(ctx context.Context, segment, key string) (string, error) {
	s.requests.gets.Add(1)
	object, _, err := s.bucket.Get(ctx, key)
	if errors.Is(err, ErrNoObject) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	e, _, err := decodeEnvelope(object)
	if err == nil && escape(e.id) != segment {
		err = fmt.Errorf("%w: holds a snapshot of %q", store.ErrCorrupt, e.id)
	}
	if err != nil {
		return "", fmt.Errorf("object %q: %w", key, err)
	}
	return e.id, nil
}
