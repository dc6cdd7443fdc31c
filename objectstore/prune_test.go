package objectstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestFailingPrune(t *testing.T) {
	for _, failing := range []string{"list", "delete"} {
		t.Run(failing, func(t *testing.T) {
			storetest.RunFailingPrune(t, func(t *testing.T, keep int, onPruneError func(error)) (store.SnapshotStore, func(bool)) {
				bucket := newHooked()
				s := newStore(t, bucket, objectstore.Options{Keep: keep, OnPruneError: onPruneError})
				fails, saved := false, false
				bucket.before = func(request, _ string) error {
					// A list that follows a put is that of a prune.
					ofPrune := request == "delete" || request == "list" && saved
					saved = request == "put"
					if fails && ofPrune && request == failing {
						return errors.New("wire cut")
					}
					return nil
				}
				return s, func(on bool) { fails = on }
			})
		})
	}
}

func TestPruneErrorNamesTheEntity(t *testing.T) {
	bucket := newHooked()
	var reported error
	s := newStore(t, bucket, objectstore.Options{Keep: 1, OnPruneError: func(err error) { reported = err }})
	failure := errors.New("wire cut")
	bucket.before = func(request, _ string) error {
		if request == "list" {
			return failure
		}
		return nil
	}
	save(t, s, "order-1", 7, "state")
	var named *store.Error
	if !errors.As(reported, &named) || named.Op != store.OpPrune || named.PersistenceID != "order-1" || named.SequenceNr != 7 || !errors.Is(reported, failure) {
		t.Errorf("OnPruneError got %v; want the failure, naming the prune of order-1 at 7", reported)
	}

	// Without OnPruneError nobody is told, and the Save succeeds as well.
	silent := newStore(t, bucket, objectstore.Options{Keep: 1})
	save(t, silent, "order-1", 8, "state")
}

// The snapshot is stored when the prune begins, so a context that ends then must not
// make the Save look like one that may have failed.
func TestContextThatEndsInAPruneDoesNotFailTheSave(t *testing.T) {
	bucket := newHooked()
	var reported error
	s := newStore(t, bucket, objectstore.Options{Keep: 1, OnPruneError: func(err error) { reported = err }})
	save(t, s, "order-1", 1, "one")
	ctx, cancel := context.WithCancel(t.Context())
	bucket.before = func(request, _ string) error {
		if request == "list" {
			cancel()
		}
		return nil
	}
	if err := s.Save(ctx, store.Snapshot{PersistenceID: "order-1", SequenceNr: 2, State: []byte("two")}); err != nil {
		t.Errorf("Save whose context ended in its prune: %v; want nil", err)
	}
	if !errors.Is(reported, context.Canceled) {
		t.Errorf("OnPruneError got %v; want an error matching context.Canceled", reported)
	}
	bucket.before = nil
	wantLatest(t, s, "order-1", 2, "two")
	wantNumbers(t, s, "order-1", 2, 1)
	save(t, s, "order-1", 3, "three") // tries again
	wantNumbers(t, s, "order-1", 3)
}

func TestFailedPutDoesNotPrune(t *testing.T) {
	bucket := newHooked()
	s := newStore(t, bucket, objectstore.Options{Keep: 1})
	save(t, s, "order-1", 1, "one")
	bucket.take()
	failure := errors.New("wire cut")
	bucket.before = func(request, _ string) error {
		if request == "put" {
			return failure
		}
		return nil
	}
	if err := s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 2}); !errors.Is(err, failure) {
		t.Errorf("Save: %v; want the failure of the put", err)
	}
	if got, want := bucket.take(), (requests{puts: 1}); got != want {
		t.Errorf("requests %+v; want %+v", got, want)
	}
	wantLatest(t, s, "order-1", 1, "one")
}
