// Package folder is a backend as an example: snapshots as files of a folder, for one
// process at a time. docs/writing-a-backend.md explains it.
//
// A snapshot whose Save returned survives a crash of the process. It may not survive a loss
// of power, since nothing is synchronised; package objectstore has a directory that does.
//
// The file of a snapshot is at <SHA-256 of the id>/<sequence number>, both in lower-case
// hex, the latter of 16 digits. It holds, with numbers in big-endian:
//
//	0   8  timestamp, Unix milliseconds
//	8   2  n, the bytes in the id
//	10  n  id
//	       state
//	    4  CRC-32C of all before
package folder

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/snapstack/snapstack/store"
)

// Options configures a Store. The zero value keeps every snapshot.
type Options struct {
	// Keep is how many snapshots of an id remain at or below the one just saved; 0 keeps
	// all.
	Keep int

	// OnPruneError is told why older snapshots were not removed, before the Save returns
	// that should have; nil means nobody is told. The next Save of the id tries again.
	OnPruneError func(error)

	// Now gives the timestamp of snapshots that are saved without one; nil means time.Now.
	Now func() time.Time
}

// Store is a store.SnapshotStore in a folder.
type Store struct {
	dir  string
	opts Options
	gate store.Gate

	mu     sync.RWMutex       // held for writing while files come or go
	remove func(string) error // os.Remove, except in tests
}

var (
	_ store.SnapshotStore = (*Store)(nil)
	_ store.Lister        = (*Store)(nil)
)

// Open returns a Store in the folder at dir, which it creates where there is none.
func Open(dir string, opts Options) (*Store, error) {
	if opts.Keep < 0 {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("folder: %w Keep %d; allowed are 0 (all) and more", store.ErrInvalid, opts.Keep))
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("folder: %w", err))
	}
	return &Store{dir: dir, opts: opts, remove: os.Remove}, nil
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
	folder := s.folder(snap.PersistenceID)

	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	// A reader, and who comes after a crash, sees the file whole or not at all.
	temp := filepath.Join(folder, "new")
	if err := os.WriteFile(temp, encode(snap), 0o666); err != nil {
		return err
	}
	if err := os.Rename(temp, file(folder, snap.SequenceNr)); err != nil {
		return err
	}
	if err := s.prune(folder, snap.SequenceNr); err != nil && s.opts.OnPruneError != nil {
		s.opts.OnPruneError(store.Wrap(store.OpPrune, snap.PersistenceID, snap.SequenceNr, err))
	}
	return nil
}

// prune removes what Keep lets go after a Save of nr.
func (s *Store) prune(folder string, nr uint64) error {
	if s.opts.Keep == 0 {
		return nil
	}
	numbers, err := numbersIn(folder)
	if err != nil {
		return err
	}
	at, _ := slices.BinarySearch(numbers, nr)
	for _, old := range numbers[:max(0, at+1-s.opts.Keep)] {
		if err := s.remove(file(folder, old)); err != nil {
			return err
		}
	}
	return nil
}

// LoadLatest implements store.SnapshotStore.
func (s *Store) LoadLatest(ctx context.Context, persistenceID string) (store.Snapshot, error) {
	snap, err := s.load(ctx, persistenceID, store.MaxSequenceNr+1)
	return snap, store.Wrap(store.OpLoadLatest, persistenceID, corruptNr(err, 0), err)
}

// LoadBefore implements store.SnapshotStore.
func (s *Store) LoadBefore(ctx context.Context, persistenceID string, sequenceNr uint64) (store.Snapshot, error) {
	snap, err := s.load(ctx, persistenceID, sequenceNr)
	return snap, store.Wrap(store.OpLoadBefore, persistenceID, corruptNr(err, sequenceNr), err)
}

func (s *Store) load(ctx context.Context, id string, below uint64) (store.Snapshot, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return store.Snapshot{}, err
	}
	defer s.gate.Leave()
	if err := store.CheckID(id); err != nil {
		return store.Snapshot{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	numbers, err := numbersIn(s.folder(id))
	if err != nil {
		return store.Snapshot{}, err
	}
	at, _ := slices.BinarySearch(numbers, below)
	if at == 0 {
		return store.Snapshot{}, store.ErrNotFound
	}
	nr := numbers[at-1]
	encoded, err := os.ReadFile(file(s.folder(id), nr))
	if err != nil {
		return store.Snapshot{}, err
	}
	snap, err := decode(encoded)
	if err == nil && snap.PersistenceID != id {
		err = fmt.Errorf("it is that of %q", snap.PersistenceID)
	}
	if err != nil {
		return store.Snapshot{}, &corrupt{nr: nr, why: err}
	}
	snap.SequenceNr = nr
	return snap, nil
}

// Delete implements store.SnapshotStore.
func (s *Store) Delete(ctx context.Context, persistenceID string, toSequenceNr uint64) error {
	return store.Wrap(store.OpDelete, persistenceID, toSequenceNr, s.delete(ctx, persistenceID, toSequenceNr))
}

func (s *Store) delete(ctx context.Context, id string, to uint64) error {
	if err := s.gate.Enter(ctx); err != nil {
		return err
	}
	defer s.gate.Leave()
	if err := store.CheckID(id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	numbers, err := numbersIn(s.folder(id))
	if err != nil {
		return err
	}
	for _, nr := range numbers {
		if nr > to {
			break
		}
		if err := s.remove(file(s.folder(id), nr)); err != nil {
			return err
		}
	}
	return nil
}

// List implements store.Lister. Ids come in the order of their hashes.
func (s *Store) List(ctx context.Context, persistenceID string) iter.Seq2[store.Info, error] {
	if persistenceID != "" {
		if err := store.CheckID(persistenceID); err != nil {
			return store.ListError(persistenceID, err)
		}
	}
	return func(yield func(store.Info, error) bool) {
		folders := []string{s.folder(persistenceID)}
		if persistenceID == "" {
			var err error
			if folders, err = filepath.Glob(filepath.Join(s.dir, "*")); err != nil {
				yield(store.Info{}, store.Wrap(store.OpList, "", 0, err))
				return
			}
		}
		for _, folder := range folders {
			infos, err := s.infos(ctx, folder)
			if err != nil {
				yield(store.Info{}, store.Wrap(store.OpList, persistenceID, corruptNr(err, 0), err))
				return
			}
			for _, info := range infos { // with no lock held: the loop body may call the store
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// infos returns what is in the folder of an id, newest first. The files say which id it is.
func (s *Store) infos(ctx context.Context, folder string) ([]store.Info, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	s.mu.RLock()
	defer s.mu.RUnlock()
	numbers, err := numbersIn(folder)
	if err != nil {
		return nil, err
	}
	var infos []store.Info
	for _, nr := range slices.Backward(numbers) {
		encoded, err := os.ReadFile(file(folder, nr))
		if err != nil {
			return nil, err
		}
		snap, err := decode(encoded)
		if err != nil {
			return nil, &corrupt{nr: nr, why: err}
		}
		infos = append(infos, store.Info{PersistenceID: snap.PersistenceID, SequenceNr: nr, StoredBytes: int64(len(snap.State))})
	}
	return infos, nil
}

// Close implements store.SnapshotStore.
func (s *Store) Close() error { return s.gate.Close(nil) }

// folder returns the folder of an id. Ids hold any bytes and are up to 1024 long, which no
// name of a file may be.
func (s *Store) folder(id string) string {
	return filepath.Join(s.dir, fmt.Sprintf("%x", sha256.Sum256([]byte(id))))
}

// file returns the file of a sequence number in the folder of its id.
func file(folder string, nr uint64) string { return filepath.Join(folder, fmt.Sprintf("%016x", nr)) }

// numbersIn returns the sequence numbers in a folder, in ascending order: none where there
// is no such folder.
func numbersIn(folder string) ([]uint64, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var numbers []uint64
	for _, entry := range entries { // by name, which is by number
		if nr, err := strconv.ParseUint(entry.Name(), 16, 63); err == nil { // what a crash left of a Save is none
			numbers = append(numbers, nr)
		}
	}
	return numbers, nil
}

// corrupt is ErrCorrupt with the number of the snapshot that is.
type corrupt struct {
	nr  uint64
	why error
}

func (c *corrupt) Error() string { return fmt.Sprintf("%v: %v", store.ErrCorrupt, c.why) }
func (c *corrupt) Unwrap() error { return store.ErrCorrupt }

// corruptNr returns the number for store.Wrap: that of the snapshot found corrupt, or
// otherwise nr.
func corruptNr(err error, nr uint64) uint64 {
	var c *corrupt
	if errors.As(err, &c) {
		return c.nr
	}
	return nr
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(snap store.Snapshot) []byte {
	encoded := make([]byte, 0, 14+len(snap.PersistenceID)+len(snap.State))
	encoded = binary.BigEndian.AppendUint64(encoded, uint64(snap.Timestamp.UnixMilli()))
	encoded = binary.BigEndian.AppendUint16(encoded, uint16(len(snap.PersistenceID)))
	encoded = append(encoded, snap.PersistenceID...)
	encoded = append(encoded, snap.State...)
	return binary.BigEndian.AppendUint32(encoded, crc32.Checksum(encoded, castagnoli))
}

// decode returns all but the sequence number. The State is a part of encoded.
func decode(encoded []byte) (store.Snapshot, error) {
	if len(encoded) < 14 {
		return store.Snapshot{}, fmt.Errorf("it has %d bytes; at least 14 are needed", len(encoded))
	}
	body, sum := encoded[:len(encoded)-4], binary.BigEndian.Uint32(encoded[len(encoded)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return store.Snapshot{}, errors.New("its checksum is wrong")
	}
	n := int(binary.BigEndian.Uint16(body[8:]))
	if len(body) < 10+n {
		return store.Snapshot{}, errors.New("its id is cut")
	}
	return store.Snapshot{
		PersistenceID: string(body[10 : 10+n]),
		Timestamp:     time.UnixMilli(int64(binary.BigEndian.Uint64(body))).UTC(),
		State:         body[10+n:],
	}, nil
}
