package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

// held makes the first list of a prune of the id wait, and those behind it not.
func held(bucket *hooked, id string) (pruning, goOn chan struct{}) {
	pruning, goOn = make(chan struct{}), make(chan struct{})
	var holds atomic.Bool // not a sync.Once, in which those behind it would wait
	bucket.before = func(request, key string) error {
		if request == "list" && strings.HasPrefix(key, id) && !holds.Swap(true) {
			close(pruning)
			<-goOn
		}
		return nil
	}
	return pruning, goOn
}

func TestPruneAsyncIsOffTheSavesPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		s := newStore(t, bucket, objectstore.Options{Keep: 1, PruneAsync: true})
		pruning, goOn := held(bucket, "order-1")
		save(t, s, "order-1", 1, "one") // returns, though its prune does not
		<-pruning
		save(t, s, "order-2", 1, "one") // other ids go on
		wantLatest(t, s, "order-2", 1, "one")
		synctest.Wait()
		bucket.take()

		// Saves of the id wait for its prune: it could remove what they put.
		var saves sync.WaitGroup
		for nr := uint64(2); nr <= 10; nr++ {
			saves.Go(func() { save(t, s, "order-1", nr, "more") })
			synctest.Wait() // in this order: numbers that fall take a list each
		}
		if got := bucket.take(); got != (requests{}) {
			t.Errorf("requests %+v of Saves while a prune of their id runs; want none", got)
		}
		close(goOn)
		saves.Wait()
		if err := s.Close(); err != nil { // and waits for the prunes
			t.Error(err)
		}
		// One prune for the nine, or two where it came in between.
		got := bucket.take()
		if got.puts != 9 || got.lists > 3 {
			t.Errorf("9 Saves that waited make the requests %+v; want 9 puts and at most 3 lists", got)
		}
	})
}

func TestCloseDrainsPrunes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		s := newStore(t, bucket, objectstore.Options{Keep: 2, PruneAsync: true})
		pruning, goOn := held(bucket, "order-0")
		ctx, cancel := context.WithCancel(t.Context())
		for id := range 100 { // more than run at a time
			for nr := range uint64(5) {
				if id == 0 && nr > 0 {
					continue // would wait
				}
				if err := s.Save(ctx, store.Snapshot{PersistenceID: fmt.Sprint("order-", id), SequenceNr: nr}); err != nil {
					t.Error(err)
				}
			}
		}
		cancel() // the context of a Save is not that of its prune
		<-pruning
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case err := <-closed:
			t.Errorf("Close returned %v while a prune runs", err)
		default:
		}
		objects, _, err := bucket.inner.List(t.Context(), "", "", 1000)
		if err != nil || len(objects) != 1+99*2 {
			t.Errorf("%d objects after all prunes but one, %v; want %d", len(objects), err, 1+99*2)
		}
		close(goOn)
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestPrunesToComeAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		s := newStore(t, bucket, objectstore.Options{Keep: 2, PruneAsync: true})
		goOn := make(chan struct{})
		bucket.before = func(request, _ string) error {
			if request == "list" {
				<-goOn
			}
			return nil
		}
		for id := range 100 {
			save(t, s, fmt.Sprint("order-", id), 1, "")
		}
		synctest.Wait()
		if got := bucket.take(); got.lists != 16 {
			t.Errorf("%d prunes at a time; want 16", got.lists)
		}
		close(goOn)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Where saves come faster than prunes are done, those who save are held back: neither
// goroutines pile up, nor snapshots.
func TestSavesPruneThemselvesWhereTooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		s := newStore(t, bucket, objectstore.Options{Keep: 1, PruneAsync: true})
		goOn := make(chan struct{})
		bucket.before = func(request, key string) error {
			if request == "list" && strings.HasPrefix(key, "order-") {
				<-goOn
			}
			return nil
		}
		const running, waiting = 16, 1024
		for id := range running + waiting {
			save(t, s, fmt.Sprint("order-", id), 1, "")
			if id < running {
				synctest.Wait() // until its prune runs
			}
		}
		synctest.Wait()
		bucket.take()
		for nr := range uint64(3) {
			save(t, s, "late", nr, "")
			if got, want := bucket.take(), (requests{puts: 1, lists: 1, deletes: int(min(nr, 1)), deleted: int(min(nr, 1))}); got != want {
				t.Errorf("a Save where too many prunes wait made the requests %+v; want %+v", got, want)
			}
		}
		save(t, s, "order-1039", 2, "") // waits already
		if got := bucket.take(); got != (requests{puts: 1}) {
			t.Errorf("a Save of an id whose prune waits made the requests %+v; want a put", got)
		}
		close(goOn)
		synctest.Wait()
		save(t, s, "late", 3, "") // has its prune off its path again
		synctest.Wait()
		left := 0
		for _, err := range store.List(t.Context(), s, "") {
			if err != nil {
				t.Fatal(err)
			}
			left++
		}
		if left != running+waiting+1 {
			t.Errorf("%d snapshots at the end; want one of each of %d ids", left, running+waiting+1)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Whatever the order of Saves, what they leave obeys the rule: a Save's own snapshot
// is not pruned by it, or by those before it.
func TestCoalescedPrunesObeyKeep(t *testing.T) {
	for _, c := range []struct {
		keep  int
		saved []uint64
		want  []uint64
	}{
		{1, []uint64{1, 2, 3}, []uint64{3}},
		{1, []uint64{9, 5}, []uint64{9, 5}},
		{1, []uint64{9, 4, 5}, []uint64{9, 5}},
		{2, []uint64{1, 9, 4, 5}, []uint64{9, 5, 4}},
		{1, []uint64{9, 5, 9}, []uint64{9}},
		{1, []uint64{5, 5, 5}, []uint64{5}},
		{2, []uint64{7, 8, 9, 3, 2, 1}, []uint64{9, 8, 3, 2, 1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			bucket := newHooked()
			inner := bucket.inner
			s := newStore(t, bucket, objectstore.Options{Keep: c.keep, PruneAsync: true})
			// All slots are taken, so that the prune comes after all Saves.
			goOn := make(chan struct{})
			bucket.before = func(request, key string) error {
				if request == "list" && strings.HasPrefix(key, "other") {
					<-goOn
				}
				return nil
			}
			for i := range 16 {
				save(t, s, fmt.Sprint("other-", i), 1, "")
			}
			synctest.Wait()
			for _, nr := range c.saved {
				save(t, s, "order-1", nr, "state")
			}
			synctest.Wait()
			bucket.take()
			close(goOn)
			synctest.Wait()
			wantNumbers(t, newStore(t, inner, objectstore.Options{}), "order-1", c.want...)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPruneAsyncErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		var reported []error
		s := newStore(t, bucket, objectstore.Options{Keep: 1, PruneAsync: true, OnPruneError: func(err error) { reported = append(reported, err) }})
		failure := errors.New("wire cut")
		bucket.before = func(request, _ string) error {
			if request == "list" {
				return failure
			}
			return nil
		}
		save(t, s, "order-1", 1, "one")
		synctest.Wait()
		var named *store.Error
		if len(reported) != 1 || !errors.As(reported[0], &named) || named.Op != store.OpPrune || named.PersistenceID != "order-1" || named.SequenceNr != 1 || !errors.Is(reported[0], failure) {
			t.Errorf("OnPruneError got %v; want the failure of order-1 at 1", reported)
		}
		bucket.before = nil
		save(t, s, "order-1", 2, "two") // tries again
		synctest.Wait()
		wantNumbers(t, s, "order-1", 2)

		// A bucket that does not answer keeps Close for a minute.
		waiting := &unanswering{hooked: bucket}
		s = newStore(t, waiting, objectstore.Options{Keep: 1, PruneAsync: true, OnPruneError: func(err error) { reported = append(reported, err) }})
		save(t, s, "order-2", 1, "one")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if len(reported) != 2 || !errors.Is(reported[1], context.DeadlineExceeded) {
			t.Errorf("OnPruneError got %v; want a second one, that time was up", reported)
		}
	})
}

// unanswering is a bucket whose lists end with their context.
type unanswering struct{ *hooked }

func (u *unanswering) List(ctx context.Context, _, _ string, _ int) ([]objectstore.Object, bool, error) {
	<-ctx.Done()
	return nil, false, ctx.Err()
}
