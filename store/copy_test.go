package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapstack/snapstack/memory"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestCopyTakesEverySnapshotOldestFirst(t *testing.T) {
	src, dst := newMemory(t, memory.Options{}), newMemory(t, memory.Options{Keep: 2})
	at := time.UnixMilli(123456789).UTC()
	for _, id := range []string{"order-1", "order-2"} {
		for _, nr := range []uint64{0, 5, 9, store.MaxSequenceNr} {
			snap := store.Snapshot{PersistenceID: id, SequenceNr: nr, Timestamp: at, State: []byte(fmt.Sprint(id, nr))}
			if err := src.Save(t.Context(), snap); err != nil {
				t.Fatal(err)
			}
		}
	}
	var last store.CopyProgress
	calls := 0
	err := store.Copy(t.Context(), dst, src, store.CopyOptions{Progress: func(p store.CopyProgress) { last = p; calls++ }})
	if err != nil {
		t.Fatal(err)
	}
	if calls != 8 || last.Snapshots != 8 || last.Gone != 0 || last.StateBytes == 0 {
		t.Errorf("%d calls of Progress, the last with %+v; want 8 snapshots", calls, last)
	}
	for _, id := range []string{"order-1", "order-2"} {
		var got []uint64
		for info, err := range store.List(t.Context(), dst, id) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, info.SequenceNr)
		}
		// Copied newest first, each of them would have survived dst's retention.
		if want := []uint64{store.MaxSequenceNr, 9}; !slices.Equal(got, want) {
			t.Errorf("%s has the numbers %v in dst; want %v", id, got, want)
		}
		snap, err := dst.LoadBefore(t.Context(), id, 10)
		if err != nil || string(snap.State) != id+"9" || !snap.Timestamp.Equal(at) {
			t.Errorf("copied %q taken %v, %v; want %q taken %v", snap.State, snap.Timestamp, err, id+"9", at)
		}
	}
}

func TestCopyResumes(t *testing.T) {
	src, dst := newMemory(t, memory.Options{}), newMemory(t, memory.Options{})
	for nr := range uint64(4) {
		save(t, src, "order-1", nr, fmt.Sprint(nr))
		save(t, src, "order-2", nr, fmt.Sprint(nr))
	}
	save(t, dst, "order-1", 0, "0")
	save(t, dst, "order-1", 2, "another")
	save(t, dst, "order-1", 9, "nine")
	counter := storetest.NewCounter(src)
	var last store.CopyProgress
	err := store.Copy(t.Context(), dst, counter, store.CopyOptions{Resume: true, Progress: func(p store.CopyProgress) { last = p }})
	if err != nil {
		t.Fatal(err)
	}
	if last.Snapshots != 6 || last.Present != 2 || counter.Counts().Loads() != 6 {
		t.Errorf("progress %+v, %d loads; want 6 copied by as many, and 2 present", last, counter.Counts().Loads())
	}
	for nr, want := range []string{"0", "1", "another", "3"} {
		if snap, err := dst.LoadBefore(t.Context(), "order-1", uint64(nr)+1); err != nil || string(snap.State) != want {
			t.Errorf("at %d the copy has %q, %v; want %q", nr, snap.State, err, want)
		}
	}
	if err := store.Copy(t.Context(), bare{dst}, src, store.CopyOptions{Resume: true}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Copy into what can't list: %v; want ErrUnsupported", err)
	}
}

func TestCopyCountsWhatWasDeletedMeanwhile(t *testing.T) {
	backend, dst := newMemory(t, memory.Options{}), newMemory(t, memory.Options{})
	save(t, backend, "order-1", 3, "three")
	save(t, backend, "order-1", 5, "five")
	deleted := false
	src := storetest.NewFaults(backend, storetest.FaultOptions{Before: func(op, id string) error {
		if op == store.OpLoadBefore && !deleted {
			deleted = true
			return backend.Delete(t.Context(), id, 3)
		}
		return nil
	}})
	var last store.CopyProgress
	if err := store.Copy(t.Context(), dst, src, store.CopyOptions{Progress: func(p store.CopyProgress) { last = p }}); err != nil {
		t.Fatal(err)
	}
	if last.Snapshots != 1 || last.Gone != 1 {
		t.Errorf("progress %+v; want 1 copied and 1 gone", last)
	}
}

func TestCopyReturnsFailures(t *testing.T) {
	failure := errors.New("wire cut")
	for _, op := range []string{store.OpLoadBefore, store.OpSave} {
		src := newMemory(t, memory.Options{})
		save(t, src, "order-1", 3, "three")
		failing := func(s store.SnapshotStore) store.SnapshotStore {
			return storetest.NewFaults(s, storetest.FaultOptions{Before: func(at, _ string) error {
				if at == op {
					return failure
				}
				return nil
			}})
		}
		err := store.Copy(t.Context(), failing(newMemory(t, memory.Options{})), failing(src), store.CopyOptions{})
		if !errors.Is(err, failure) {
			t.Errorf("Copy with a failing %s returned %v; want the failure", op, err)
		}
	}
}

// Of 48 ids with two snapshots each, at a second for a load and one for a save, so many at
// once take 48 / Parallel turns of four seconds.
func TestCopyTakesIDsInParallel(t *testing.T) {
	for parallel, want := range map[int]time.Duration{0: 12 * time.Second, 1: 192 * time.Second, 5: 40 * time.Second, 48: 4 * time.Second, 1000: 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			src, dst := newMemory(t, memory.Options{}), newMemory(t, memory.Options{})
			for i := range 48 {
				save(t, src, fmt.Sprint("order-", i), 1, "one")
				save(t, src, fmt.Sprint("order-", i), 2, "two")
			}
			far := func(s store.SnapshotStore) store.SnapshotStore {
				return storetest.NewLatency(s, storetest.LatencyOptions{Before: func(string, string) time.Duration { return time.Second }})
			}
			var reporting atomic.Int32
			var last store.CopyProgress
			began := time.Now()
			err := store.Copy(t.Context(), far(dst), far(src), store.CopyOptions{Parallel: parallel, Progress: func(p store.CopyProgress) {
				if reporting.Add(1) != 1 || p.Snapshots != last.Snapshots+1 {
					t.Errorf("%+v was reported after %+v, or meanwhile", p, last)
				}
				last = p
				reporting.Add(-1)
			}})
			if took := time.Since(began); err != nil || took != want || last.Snapshots != 96 || last.StateBytes != 96*3 {
				t.Errorf("Parallel %d took %v, %v, %+v; want %v for 96 snapshots", parallel, took, err, last, want)
			}
		})
	}
}

// The first failure ends the copies of other ids, and is the one that is returned; when
// Copy returns none of them is under way.
func TestCopyEndsAtTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, dst := newMemory(t, memory.Options{}), newMemory(t, memory.Options{})
		for i := range 100 {
			save(t, src, fmt.Sprintf("order-%02d", i), 1, "one")
		}
		failure := errors.New("wire cut")
		counter := storetest.NewCounter(storetest.NewFaults(dst, storetest.FaultOptions{Before: func(_, id string) error {
			if id == "order-20" {
				return failure
			}
			return nil
		}}))
		slow := storetest.NewLatency(counter, storetest.LatencyOptions{Before: func(op, id string) time.Duration {
			if id == "order-20" {
				return time.Second
			}
			return time.Hour
		}})
		began := time.Now()
		err := store.Copy(t.Context(), slow, src, store.CopyOptions{Parallel: 100})
		if took := time.Since(began); !errors.Is(err, failure) || errors.Is(err, context.Canceled) || took != time.Second {
			t.Errorf("Copy returned %v after %v; want the failure after a second", err, took)
		}
		synctest.Wait()
		if saves := counter.Counts().Saves; saves != 1 {
			t.Errorf("%d saves reached dst; want the one that failed", saves)
		}
	})
}

func TestCopyObeysItsContext(t *testing.T) {
	src, dst := newMemory(t, memory.Options{}), newMemory(t, memory.Options{})
	for i := range 100 {
		save(t, src, fmt.Sprint("order-", i), 1, "one")
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := store.Copy(ctx, dst, src, store.CopyOptions{Parallel: 1, Progress: func(p store.CopyProgress) {
		if p.Snapshots == 10 {
			cancel()
		}
		if p.Snapshots > 10 {
			t.Error("copied after its context had ended")
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Copy returned %v; want context.Canceled", err)
	}
}

func TestCopyRefuses(t *testing.T) {
	s := newMemory(t, memory.Options{})
	if err := store.Copy(t.Context(), s, s, store.CopyOptions{Parallel: -1}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Parallel -1: %v; want ErrInvalid", err)
	}
}
