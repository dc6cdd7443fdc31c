package simulate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/buckettest"
	"github.com/snapstack/snapstack/objectstore/simulate"
	"github.com/snapstack/snapstack/store"
	"github.com/snapstack/snapstack/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick takes no time, for suites that can't run in a bubble.
var quick = simulate.Options{ReadsPerSecond: 1e9, WritesPerSecond: 1e9, Splits: []string{"a/", "a/1", "order"}}

func open(t *testing.T, opts simulate.Options) *simulate.Bucket {
	t.Helper()
	b, err := simulate.New(objectstore.NewMemoryBucket(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBucket(t *testing.T) {
	buckettest.Run(t, func(t *testing.T) objectstore.Bucket { return open(t, quick) })
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, c storetest.Config) store.SnapshotStore {
		s, err := objectstore.New(open(t, quick), objectstore.Options{Keep: c.Keep})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestNewRefusesBadOptions(t *testing.T) {
	memory := objectstore.NewMemoryBucket()
	for says, c := range map[string]struct {
		inner objectstore.Creator
		opts  simulate.Options
	}{
		"bucket: nil":              {nil, simulate.Options{}},
		"List -1":                  {memory, simulate.Options{List: -1}},
		"Get -1":                   {memory, simulate.Options{Get: -1}},
		"Put -1":                   {memory, simulate.Options{Put: -1}},
		"Delete -1":                {memory, simulate.Options{Delete: -1}},
		"BytesPerSecond -1":        {memory, simulate.Options{BytesPerSecond: -1}},
		"ReadsPerSecond -1":        {memory, simulate.Options{ReadsPerSecond: -1}},
		"WritesPerSecond -1":       {memory, simulate.Options{WritesPerSecond: -1}},
		`Splits ["b" "a"]`:         {memory, simulate.Options{Splits: []string{"b", "a"}}},
		`Splits ["a" "a"]`:         {memory, simulate.Options{Splits: []string{"a", "a"}}},
		`Splits [""]`:              {memory, simulate.Options{Splits: []string{""}}},
		"allowed are 0 and more":   {memory, simulate.Options{Get: -1}},
		"keys in rising order":     {memory, simulate.Options{Splits: []string{"b", "a"}}},
		"open: simulate: invalid ": {nil, simulate.Options{}},
	} {
		b, err := simulate.New(c.inner, c.opts)
		if b != nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("New: %v; want ErrInvalid that says %q", err, says)
		}
	}
}

func TestRequestsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, simulate.Options{List: 11 * time.Second, Get: 13 * time.Second, Put: 17 * time.Second, Delete: 19 * time.Second, BytesPerSecond: 10})
		body := make([]byte, 20) // 2 s
		for _, c := range []struct {
			name string
			do   func() error
			want time.Duration
		}{
			{"Put", func() error { return b.Put(t.Context(), "a/1", body) }, 19 * time.Second},
			{"Create", func() error { return b.Create(t.Context(), "a/2", body) }, 19 * time.Second},
			{"Create of what exists", func() error {
				if err := b.Create(t.Context(), "a/2", body); !errors.Is(err, objectstore.ErrExists) {
					return fmt.Errorf("%w; want ErrExists", err)
				}
				return nil
			}, 19 * time.Second},
			{"Get", func() error { _, _, err := b.Get(t.Context(), "a/1"); return err }, 15 * time.Second},
			{"Get of nothing", func() error {
				if _, _, err := b.Get(t.Context(), "a/3"); !errors.Is(err, objectstore.ErrNoObject) {
					return fmt.Errorf("%w; want ErrNoObject", err)
				}
				return nil
			}, 13 * time.Second},
			{"List", func() error { _, _, err := b.List(t.Context(), "a/", "", 10); return err }, 11 * time.Second},
			{"Delete", func() error { return b.Delete(t.Context(), []string{"a/1", "a/2"}) }, 19 * time.Second},
		} {
			start := time.Now()
			if err := c.do(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			if took := time.Since(start); took != c.want {
				t.Errorf("%s takes %v; want %v", c.name, took, c.want)
			}
		}
		want := simulate.Counts{Lists: 1, Gets: 2, Puts: 3, Deletes: 1, DeletedKeys: 2, PutBytes: 60, GetBytes: 20}
		if got := b.Counts(); got != want {
			t.Errorf("Counts = %+v; want %+v", got, want)
		}
	})
}

// A call whose context ends returns at that moment. What it did is done if the request
// was past its half.
func TestContextEndsOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, simulate.Options{List: 10 * time.Second, Get: 10 * time.Second, Put: 10 * time.Second, Delete: 10 * time.Second})
		for _, after := range []time.Duration{4 * time.Second, 6 * time.Second} {
			took := after > 5*time.Second // effect
			call := func(name string, do func(ctx context.Context) error) {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				start := time.Now()
				err := do(ctx)
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, objectstore.ErrNoObject) || time.Since(start) != after {
					t.Errorf("%s whose context ends after %v: %v after %v", name, after, err, time.Since(start))
				}
			}
			stored := func() bool {
				_, _, err := b.Get(t.Context(), "a/1")
				if err != nil && !errors.Is(err, objectstore.ErrNoObject) {
					t.Error(err)
				}
				return err == nil
			}
			call("Put", func(ctx context.Context) error { return b.Put(ctx, "a/1", nil) })
			if stored() != took {
				t.Errorf("a Put that ended after %v stored something: %v", after, !took)
			}
			if err := b.Put(t.Context(), "a/1", nil); err != nil {
				t.Error(err)
			}
			call("Create", func(ctx context.Context) error { return b.Create(ctx, "a/1", nil) })
			call("Get", func(ctx context.Context) error { _, _, err := b.Get(ctx, "a/2"); return err })
			call("List", func(ctx context.Context) error { _, _, err := b.List(ctx, "a/", "", 1); return err })
			call("Delete", func(ctx context.Context) error { return b.Delete(ctx, []string{"a/1"}) })
			if stored() == took {
				t.Errorf("a Delete that ended after %v removed something: %v", after, !took)
			}
		}
	})
}

// A partition answers so many requests a second, however many come, and those of another
// partition do not count.
func TestPartitionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, simulate.Options{ReadsPerSecond: 100, WritesPerSecond: 50, Splits: []string{"b/5", "c/"}})
		get := func(key string) func() error {
			return func() error {
				_, _, err := b.Get(t.Context(), key)
				if errors.Is(err, objectstore.ErrNoObject) {
					return nil
				}
				return err
			}
		}
		list := func(prefix, after string) func() error {
			return func() error { _, _, err := b.List(t.Context(), prefix, after, 1); return err }
		}
		for _, c := range []struct {
			name string
			want int
			do   []func() error
		}{
			{"Get", 100, []func() error{get("a/1")}},
			{"List", 100, []func() error{list("a/", "")}},
			{"Get and List", 100, []func() error{get("b/4"), list("a/", "")}},
			{"Gets on both sides of a split", 200, []func() error{get("b/4"), get("b/5")}},
			{"Gets on one side of a split", 100, []func() error{get("b/5"), get("b/7")}},
			{"Lists on both sides of a split", 200, []func() error{list("b/", ""), list("b/", "b/6")}},
			{"Gets in three partitions", 300, []func() error{get("a/1"), get("b/7"), get("d/1")}},
			{"Put", 50, []func() error{func() error { return b.Put(t.Context(), "a/1", nil) }}},
			{"Put and Delete", 50, []func() error{
				func() error { return b.Put(t.Context(), "a/1", nil) },
				func() error { return b.Delete(t.Context(), []string{"a/1"}) },
			}},
			{"Delete of ten keys", 5, []func() error{func() error { return b.Delete(t.Context(), make([]string, 10)) }}},
			{"Put and Get", 150, []func() error{get("a/1"), func() error { return b.Put(t.Context(), "a/1", nil) }}},
		} {
			answered := 0
			for i := range 11_000 { // a thousand a second, of which the first second does not count
				for _, do := range c.do {
					err := do()
					if err != nil && !errors.Is(err, objectstore.ErrThrottled) {
						t.Error(err)
					}
					if err == nil && i >= 1000 {
						answered++
					}
				}
				time.Sleep(time.Millisecond)
			}
			if answered < 10*c.want-1 || answered > 10*c.want+1 {
				t.Errorf("%s: %d answered in ten seconds; want %d", c.name, answered, 10*c.want)
			}
			time.Sleep(time.Minute) // all partitions are idle
		}
	})
}

func TestWhatIsRefusedHasNoEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, simulate.Options{Put: time.Second, Get: time.Second, WritesPerSecond: 1, ReadsPerSecond: 1000})
		var wg sync.WaitGroup
		errs := make([]error, 10)
		start := time.Now()
		for i := range errs {
			wg.Go(func() { errs[i] = b.Put(t.Context(), fmt.Sprint("a/", i), []byte("body")) })
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("requests that are refused take %v; want %v as any other", took, time.Second)
		}
		for i, err := range errs {
			body, _, getErr := b.Get(t.Context(), fmt.Sprint("a/", i))
			switch {
			case err == nil && (getErr != nil || string(body) != "body"):
				t.Errorf("a Put that was answered: %q, %v", body, getErr)
			case err != nil && (!errors.Is(err, objectstore.ErrThrottled) || !errors.Is(getErr, objectstore.ErrNoObject)):
				t.Errorf("a Put that was refused: %v, and then %q, %v; want ErrThrottled and ErrNoObject", err, body, getErr)
			}
		}
		if got := b.Counts(); got.Puts != 1 || got.Refused != 9 || got.PutBytes != 4 {
			t.Errorf("Counts = %+v; want 1 Put of 4 bytes and 9 refused", got)
		}
	})
}

// What a store makes of a bucket that refuses everything: failures that say so, and
// never that nothing is there.
func TestThrottlingReachesTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := objectstore.NewMemoryBucket()
		s, err := objectstore.New(memory, objectstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		snap := store.Snapshot{PersistenceID: "order-1", SequenceNr: 1, State: []byte("one")}
		if err := s.Save(t.Context(), snap); err != nil {
			t.Fatal(err)
		}
		b, err := simulate.New(memory, simulate.Options{ReadsPerSecond: 1, WritesPerSecond: 1})
		if err != nil {
			t.Fatal(err)
		}
		pruned := 0
		throttled, err := objectstore.New(b, objectstore.Options{Keep: 1, OnPruneError: func(err error) {
			if pruned++; !errors.Is(err, objectstore.ErrThrottled) {
				t.Errorf("OnPruneError: %v; want ErrThrottled", err)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		want := func(name string, err error) {
			t.Helper()
			var named *store.Error
			if !errors.Is(err, objectstore.ErrThrottled) || errors.Is(err, store.ErrNotFound) || !errors.As(err, &named) {
				t.Errorf("%s: %v; want a *store.Error matching ErrThrottled", name, err)
			}
		}
		// The list is answered, the get not.
		_, err = throttled.LoadLatest(t.Context(), "order-1")
		want("LoadLatest", err)
		_, err = throttled.LoadBefore(t.Context(), "order-1", 5)
		want("LoadBefore", err)
		_, err = throttled.LoadLatest(t.Context(), "order-2") // there is none, but this load can't know
		want("LoadLatest of an absent id", err)
		want("Delete", throttled.Delete(t.Context(), "order-1", 1))
		for _, err := range throttled.List(t.Context(), "") {
			want("List", err)
		}
		snap.SequenceNr = 2
		if err := throttled.Save(t.Context(), snap); err != nil || pruned != 1 {
			t.Errorf("Save whose prune is refused: %v, and OnPruneError called %d times; want nil and once", err, pruned)
		}
		snap.SequenceNr = 3
		want("Save", throttled.Save(t.Context(), snap))

		// Calm returns, and all is there.
		time.Sleep(10 * time.Second)
		if err := throttled.Save(t.Context(), snap); err != nil {
			t.Errorf("Save when the bucket has calmed down: %v", err)
		}
		got, err := s.LoadLatest(t.Context(), "order-1")
		if err != nil || got.SequenceNr != 3 {
			t.Errorf("LoadLatest = number %d, %v; want 3", got.SequenceNr, err)
		}
	})
}

func TestListGivesAThousandAtMost(t *testing.T) {
	b := open(t, simulate.Options{})
	for i := range 1001 {
		if err := b.Put(t.Context(), fmt.Sprintf("a/%04d", i), make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
	}
	objects, more, err := b.List(t.Context(), "a/", "", 5000)
	if err != nil || len(objects) != 1000 || !more {
		t.Errorf("List gives %d objects, %v, %v; want 1000 and more", len(objects), more, err)
	}
	before := b.Counts()
	stored, err := b.StoredBytes(t.Context())
	if err != nil || stored != 3003 || b.Counts() != before {
		t.Errorf("StoredBytes = %d, %v, with the requests %+v; want 3003, without", stored, err, b.Counts())
	}
}

func TestPrices(t *testing.T) {
	prices := simulate.Prices{PutList: 5, Get: 3, GBMonth: 2}
	counts := simulate.Counts{Lists: 1000, Puts: 2000, Gets: 10_000, Deletes: 1e6, DeletedKeys: 1e9, Refused: 1e6, PutBytes: 1e12, GetBytes: 1e12}
	if got := prices.Requests(counts); got != 45 {
		t.Errorf("Requests costs %v; want 45: 15 for puts and lists, 30 for gets", got)
	}
	if got := prices.Month(3 << 29); got != 3 {
		t.Errorf("a month of 1.5 GB costs %v; want 3", got)
	}
}

// The splits are the bucket's own from New on.
func TestSplitsAreCopied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		splits := []string{"b"}
		b := open(t, simulate.Options{ReadsPerSecond: 1, Splits: splits})
		splits[0] = "z"
		answered := 0
		for _, key := range []string{"a/1", "c/1"} {
			if _, _, err := b.Get(t.Context(), key); errors.Is(err, objectstore.ErrNoObject) {
				answered++
			}
		}
		if answered != 2 {
			t.Errorf("%d gets in two partitions are answered; want both", answered)
		}
	})
}
