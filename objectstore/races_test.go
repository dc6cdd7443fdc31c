package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/store"
)

// other is a store of another process on the same bucket: it knows nothing of the
// turns that the operations of the first one take.
func other(t *testing.T, bucket *hooked, opts objectstore.Options) *objectstore.Store {
	return newStore(t, bucket.inner, opts)
}

// beforeGets calls do ahead of the first n gets.
func beforeGets(bucket *hooked, n int, do func(round int)) {
	round := 0
	bucket.before = func(request, _ string) error {
		if request == "get" && round < n {
			round++
			do(round)
		}
		return nil
	}
}

func TestLoadOvertakenByPrunes(t *testing.T) {
	bucket := newHooked()
	s, writer := newStore(t, bucket, objectstore.Options{}), other(t, bucket, objectstore.Options{Keep: 1})
	save(t, writer, "order-1", 1, "1")
	beforeGets(bucket, 25, func(round int) { // more often than a lost object is asked for
		save(t, writer, "order-1", uint64(1+round), fmt.Sprint(1+round))
	})
	wantLatest(t, s, "order-1", 26, "26")
	if got, want := bucket.take(), (requests{lists: 26, gets: 26}); got != want {
		t.Errorf("requests %+v; want %+v", got, want)
	}
}

func TestLoadOvertakenByDeletes(t *testing.T) {
	bucket := newHooked()
	s, writer := newStore(t, bucket, objectstore.Options{}), other(t, bucket, objectstore.Options{})
	save(t, writer, "order-1", 1, "1")
	beforeGets(bucket, 1, func(int) { remove(t, writer, "order-1", 1) })
	if snap, err := s.LoadLatest(t.Context(), "order-1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("LoadLatest = %+v, %v; want ErrNotFound, for all was deleted", snap, err)
	}

	save(t, writer, "order-1", 1, "one")
	save(t, writer, "order-1", 3, "three")
	beforeGets(bucket, 1, func(int) {
		remove(t, writer, "order-1", 3)
		save(t, writer, "order-1", 2, "two")
	})
	if snap, err := s.LoadBefore(t.Context(), "order-1", 4); err != nil || string(snap.State) != "two" {
		t.Errorf("LoadBefore = %q, %v; want two, which is all there is", snap.State, err)
	}
}

// Without the comparison of tags the load returns a state that was never the newest
// one: it was saved at 5 when 6 was there already.
func TestLoadOvertakenByAReplacement(t *testing.T) {
	bucket := newHooked()
	s, writer := newStore(t, bucket, objectstore.Options{}), other(t, bucket, objectstore.Options{})
	save(t, writer, "order-1", 5, "first")
	beforeGets(bucket, 1, func(int) {
		save(t, writer, "order-1", 6, "six")
		save(t, writer, "order-1", 5, "again")
	})
	wantLatest(t, s, "order-1", 6, "six")
}

func TestLoadFromABucketThatLostAnObject(t *testing.T) {
	bucket := newHooked()
	s := newStore(t, bucket, objectstore.Options{})
	save(t, s, "order-1", 5, "five")
	bucket.before = func(request, _ string) error {
		if request == "get" {
			return objectstore.ErrNoObject
		}
		return nil
	}
	_, err := s.LoadLatest(t.Context(), "order-1")
	if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "order-1/7ffffffffffffffa") {
		t.Errorf("LoadLatest: %v; want an error that names the object and is not ErrNotFound", err)
	}

	// Every round ends with the context, too.
	ctx, cancel := context.WithCancel(t.Context())
	bucket.before = func(request, _ string) error {
		if request == "get" {
			cancel()
			return objectstore.ErrNoObject
		}
		return nil
	}
	if _, err := s.LoadLatest(ctx, "order-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("LoadLatest whose context ended: %v; want context.Canceled", err)
	}
}

// otherTags is a bucket whose List and Get don't agree on tags.
type otherTags struct{ *hooked }

func (o otherTags) Get(ctx context.Context, key string) ([]byte, string, error) {
	body, etag, err := o.hooked.Get(ctx, key)
	return body, "W/" + etag, err
}

func TestLoadFromABucketWhoseTagsDoNotAgree(t *testing.T) {
	bucket := newHooked()
	s := newStore(t, otherTags{bucket}, objectstore.Options{})
	save(t, s, "order-1", 5, "five")
	bucket.take()
	wantLatest(t, s, "order-1", 5, "five")
	if got, want := bucket.take(), (requests{lists: 2, gets: 1}); got != want {
		t.Errorf("requests %+v; want %+v", got, want)
	}

	writer := other(t, bucket, objectstore.Options{})
	beforeGets(bucket, 1, func(int) {
		save(t, writer, "order-1", 6, "six")
		save(t, writer, "order-1", 5, "again")
	})
	wantLatest(t, s, "order-1", 6, "six")
}

// scanning is a bucket whose listings are not of one moment: what is listed in
// between decides what a listing shows that began before it.
type scanning struct {
	*hooked
	between func()            // called once, in the middle of the next listing
	passed  func(string) bool // keys at whose place the listing had been by then
}

func (b *scanning) List(ctx context.Context, prefix, after string, limit int) ([]objectstore.Object, bool, error) {
	if b.between == nil {
		return b.hooked.List(ctx, prefix, after, limit)
	}
	earlier, _, err := b.hooked.List(ctx, prefix, after, 1000)
	if err != nil {
		return nil, false, err
	}
	between := b.between
	b.between = nil
	between()
	later, _, err := b.hooked.List(ctx, prefix, after, 1000)
	if err != nil {
		return nil, false, err
	}
	shown := slices.DeleteFunc(earlier, func(o objectstore.Object) bool { return !b.passed(o.Key) })
	shown = append(shown, slices.DeleteFunc(later, func(o objectstore.Object) bool { return b.passed(o.Key) })...)
	return shown[:min(limit, len(shown))], len(shown) > limit, nil
}

// Without turns that tell a load of puts, it finds nothing where there always was
// something, or an older snapshot than one that had been saved before that.
func TestLoadOvertakenInTheMiddleOfItsListing(t *testing.T) {
	bucket := &scanning{hooked: newHooked(), passed: func(key string) bool { return key <= "order-1/7ffffffffffffff9" }} // 6 and above
	s := newStore(t, bucket, objectstore.Options{Keep: 1})
	save(t, s, "order-1", 5, "five")
	bucket.between = func() { save(t, s, "order-1", 6, "six") } // and removes 5, where the listing comes next
	wantLatest(t, s, "order-1", 6, "six")

	save(t, s, "order-2", 2, "two")
	bucket.passed = func(key string) bool { return key <= "order-2/7ffffffffffffff9" }
	bucket.between = func() {
		save(t, s, "order-2", 6, "six")
		save(t, s, "order-2", 4, "four")
	}
	wantLatest(t, s, "order-2", 6, "six")

	// What is saved at or above the bound concerns no LoadBefore.
	bucket.between = func() { save(t, s, "order-2", 7, "seven") }
	bucket.take()
	if _, err := s.LoadBefore(t.Context(), "order-2", 4); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("LoadBefore: %v; want ErrNotFound", err)
	}
	if got := bucket.take(); got.lists-got.puts != 2 { // the two of scanning; each Save makes one, too
		t.Errorf("LoadBefore during a Save above its bound makes %d lists; want no more than otherwise", got.lists-got.puts)
	}
}

// A prune removes what it has listed. A Save of the same id that came between its
// list and its delete would lose what it had stored.
func TestSaveWaitsForAPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		s := newStore(t, bucket, objectstore.Options{Keep: 1})
		save(t, s, "order-1", 3, "old")
		pruning, goOn := make(chan struct{}), make(chan struct{})
		bucket.before = func(request, key string) error {
			if request == "delete" && strings.HasPrefix(key, "order-1/") {
				close(pruning)
				<-goOn
			}
			return nil
		}
		go save(t, s, "order-1", 5, "five")
		<-pruning
		again := make(chan struct{})
		go func() {
			defer close(again)
			save(t, s, "order-1", 3, "again")
		}()
		synctest.Wait()
		wantLatest(t, s, "order-1", 5, "five") // loads wait for neither
		save(t, s, "order-2", 1, "one")        // nor do other ids
		wantLatest(t, s, "order-2", 1, "one")

		ctx, cancel := context.WithCancel(t.Context())
		cancelled := make(chan error)
		go func() { cancelled <- s.Save(ctx, store.Snapshot{PersistenceID: "order-1", SequenceNr: 9}) }()
		synctest.Wait()
		cancel()
		if err := <-cancelled; !errors.Is(err, context.Canceled) {
			t.Errorf("a waiting Save whose context ends: %v; want context.Canceled", err)
		}

		close(goOn)
		<-again
		wantNumbers(t, s, "order-1", 5, 3)
		if snap, err := s.LoadBefore(t.Context(), "order-1", 5); err != nil || string(snap.State) != "again" {
			t.Errorf("LoadBefore = %q, %v; want what was saved last", snap.State, err)
		}
	})
}

// A Delete takes several steps: a load or Save in between would see or leave
// behind a part of it.
func TestDeleteExcludesLoadsAndSaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		s := newStore(t, bucket, objectstore.Options{})
		for nr := range uint64(1500) {
			save(t, s, "order-1", nr, "state")
		}
		between, goOn := make(chan struct{}), make(chan struct{})
		deletes := 0
		bucket.before = func(request, _ string) error {
			if request == "delete" {
				if deletes++; deletes == 2 { // the newest 1000 are gone
					close(between)
					<-goOn
				}
			}
			return nil
		}
		go remove(t, s, "order-1", 2000)
		<-between
		type result struct {
			snap store.Snapshot
			err  error
		}
		loaded := make(chan result, 1)
		saved := make(chan error, 1)
		go func() {
			snap, err := s.LoadLatest(t.Context(), "order-1")
			loaded <- result{snap, err}
		}()
		go func() { saved <- s.Save(t.Context(), store.Snapshot{PersistenceID: "order-1", SequenceNr: 700}) }()
		synctest.Wait()
		select {
		case got := <-loaded:
			t.Errorf("LoadLatest during a Delete = number %d, %v; want it to wait", got.snap.SequenceNr, got.err)
		case err := <-saved:
			t.Errorf("Save during a Delete returned %v; want it to wait", err)
		default:
		}
		close(goOn)
		if err := <-saved; err != nil {
			t.Errorf("Save: %v", err)
		}
		if got := <-loaded; got.err == nil && got.snap.SequenceNr != 700 || got.err != nil && !errors.Is(got.err, store.ErrNotFound) {
			t.Errorf("LoadLatest = number %d, %v; want 700 or ErrNotFound", got.snap.SequenceNr, got.err)
		}
		wantNumbers(t, s, "order-1", 700)
	})
}

func TestCloseWaitsForAPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newHooked()
		pruned := false
		s := newStore(t, bucket, objectstore.Options{Keep: 1, OnPruneError: func(error) { pruned = true }})
		goOn := make(chan struct{})
		bucket.before = func(request, _ string) error {
			if request == "list" {
				<-goOn
				return errors.New("wire cut")
			}
			return nil
		}
		go save(t, s, "order-1", 1, "one")
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for a Save that prunes")
		default:
		}
		close(goOn)
		if err := <-closed; err != nil || !pruned {
			t.Errorf("Close = %v, OnPruneError called: %v; want nil, true", err, pruned)
		}
	})
}

// Loads that go on while every Save prunes what was the newest before it, through
// the same store and through one of another process.
func TestLoadsDuringPrunes(t *testing.T) {
	directory := t.TempDir()
	memory := objectstore.NewMemoryBucket()
	for name, open := range map[string]func() objectstore.Bucket{
		"memory":    func() objectstore.Bucket { return memory },
		"directory": func() objectstore.Bucket { return openDirectory(t, directory) },
	} {
		t.Run(name, func(t *testing.T) {
			s, other := newStore(t, open(), objectstore.Options{Keep: 1}), newStore(t, open(), objectstore.Options{})
			save(t, s, "order-1", 0, "0")
			const last = 100
			var acknowledged atomic.Uint64
			var wg sync.WaitGroup
			wg.Go(func() {
				for nr := uint64(1); nr <= last; nr++ {
					save(t, s, "order-1", nr, fmt.Sprint(nr))
					acknowledged.Store(nr)
				}
			})
			for _, from := range []*objectstore.Store{s, other} {
				wg.Go(func() {
					for acknowledged.Load() < last && !t.Failed() {
						floor := acknowledged.Load()
						snap, err := from.LoadLatest(t.Context(), "order-1")
						if err != nil || snap.SequenceNr < floor || string(snap.State) != fmt.Sprint(snap.SequenceNr) {
							t.Errorf("LoadLatest begun after Save(%d) = %q at %d, %v", floor, snap.State, snap.SequenceNr, err)
						}
					}
				})
			}
			wg.Wait()
			for _, s := range []*objectstore.Store{s, other} {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
