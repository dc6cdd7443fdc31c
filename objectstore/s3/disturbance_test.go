package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snapstack/snapstack/objectstore"
	"github.com/snapstack/snapstack/objectstore/s3"
	"github.com/snapstack/snapstack/store"
)

// disturbances come over the store one after the other, with calm in between.
var disturbances = []disturbance{
	{name: "latency", latency: 20 * time.Millisecond},
	{name: "answers reset", answer: 1, reset: true},
	{name: "answers cut off in their head", answer: 20},
	{name: "answers cut off in their body", answer: 60_000},
	{name: "requests reset", request: 1, reset: true},
	{name: "requests cut off in their body", request: 60_000},
	{name: "answers stall", answer: 1, stall: true},
	{name: "large answers stall", answer: 60_000, stall: true},
	{name: "requests stall", request: 60_000, stall: true},
	{name: "refused", refuse: true},
}

func TestDisturbance(t *testing.T) {
	for _, keep := range []int{0, 3} {
		t.Run(fmt.Sprint("keep=", keep), func(t *testing.T) {
			f := newFake(t)
			server := httptest.NewServer(f)
			defer func() { server.Close() }()
			p := newProxy(t, server.Listener.Addr().String())
			underDisturbance(t, p, bucketName, keep, func() {
				server.CloseClientConnections()
				server.Close()
			}, func() {
				server = httptest.NewServer(f)
				p.mu.Lock()
				p.target = server.Listener.Addr().String()
				p.mu.Unlock()
			})
		})
	}
}

func TestDisturbanceOnServers(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		if s.process == nil {
			t.Skip("a server of one's own is not ours to kill")
		}
		for _, keep := range []int{0, 3} {
			t.Run(fmt.Sprint("keep=", keep), func(t *testing.T) {
				p := newProxy(t, s.process.address)
				underDisturbance(t, p, s.newBucket(t), keep, func() { s.process.kill(t) }, func() {
					if err := s.process.start(t); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	})
}

// underDisturbance has a writer and a reader for each of some ids work on, while the
// connections to the server are disturbed and the server is killed and restarted.
func underDisturbance(t *testing.T, p *proxy, bucket string, keep int, kill, restart func()) {
	open := func() *objectstore.Store {
		b, err := s3.Open(t.Context(), bucket, s3.Options{Endpoint: p.url(), PathStyle: true})
		if err != nil {
			t.Fatal(err)
		}
		s, err := objectstore.New(b, objectstore.Options{Prefix: fmt.Sprintf("keep%d/", keep), Keep: keep})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	closeStore := func(s *objectstore.Store) {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	const (
		timeout = 400 * time.Millisecond // of a call
		late    = 5 * time.Second        // what a call may take beyond it on a busy machine
	)
	s := open()
	defer closeStore(s)
	state := func(id int, nr uint64) []byte {
		size := []int{10, 1_000, 100_000, 500_000}[id]
		return bytes.Repeat([]byte{byte(id), byte(nr), byte(nr >> 8)}, size/3+1)
	}
	name := func(id int) string { return fmt.Sprint("order-", id) }
	ended := make(chan struct{}) // a call has
	done := make(chan struct{})  // so should all that work
	call := func(do func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		begin := time.Now()
		err := do(ctx)
		if took := time.Since(begin); took > timeout+late {
			t.Errorf("a call took %v; want an end soon after its context ended at %v", took, timeout)
		}
		if errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrInvalid) {
			t.Errorf("a disturbed call: %v; want no such error", err)
		}
		select {
		case ended <- struct{}{}:
		case <-done:
		}
		return err
	}

	var (
		work         sync.WaitGroup
		acknowledged [4]atomic.Uint64
	)
	stopped := func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	for id := range acknowledged {
		work.Go(func() {
			for nr := uint64(1); !stopped() && !t.Failed(); nr++ {
				snap := store.Snapshot{PersistenceID: name(id), SequenceNr: nr, State: state(id, nr)}
				for !t.Failed() { // also when done: a Save that failed can be repeated
					err := call(func(ctx context.Context) error { return s.Save(ctx, snap) })
					if errors.Is(err, store.ErrNotFound) {
						t.Errorf("Save: %v", err)
					}
					if err == nil {
						acknowledged[id].Store(nr)
						break
					}
				}
			}
		})
		work.Go(func() {
			for !stopped() && !t.Failed() {
				least := acknowledged[id].Load()
				var got store.Snapshot
				err := call(func(ctx context.Context) (err error) {
					got, err = s.LoadLatest(ctx, name(id))
					return err
				})
				switch {
				case errors.Is(err, store.ErrNotFound) && least > 0:
					t.Errorf("LoadLatest(%s): %v, though %d is acknowledged", name(id), err, least)
				case err == nil && (got.SequenceNr < least || !bytes.Equal(got.State, state(id, got.SequenceNr))):
					t.Errorf("LoadLatest(%s) = number %d and %d bytes; want %d or more, and whole", name(id), got.SequenceNr, len(got.State), least)
				}
			}
		})
	}

	awaitCalls := func(n int) {
		for range n {
			if t.Failed() {
				return // those that work stop by themselves
			}
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Error("no call ended for 20 s")
			}
		}
	}
	awaitCalls(40)
	for _, d := range disturbances {
		p.disturb(d)
		awaitCalls(12)
		for n := 0; p.disturbed() == 0 && n < 1000 && !t.Failed(); n++ {
			awaitCalls(1) // of those large enough
		}
		if p.disturb(disturbance{}) == 0 {
			t.Errorf("%s: nothing was disturbed", d.name)
		}
		awaitCalls(16)
	}
	for range 2 {
		kill()
		awaitCalls(16)
		restart()
		awaitCalls(40)
	}
	close(done)
	work.Wait()

	fresh := open()
	defer closeStore(fresh)
	for id := range acknowledged {
		last := acknowledged[id].Load()
		if last == 0 {
			t.Errorf("%s: no Save succeeded", name(id))
		}
		first := uint64(1)
		if keep > 0 && last > uint64(keep) {
			first = last - uint64(keep) + 1
		}
		for nr := last; nr >= first; nr-- {
			got, err := fresh.LoadBefore(t.Context(), name(id), nr+1)
			if err != nil || got.SequenceNr != nr || !bytes.Equal(got.State, state(id, nr)) {
				t.Errorf("LoadBefore(%s, %d) = number %d and %d bytes, %v; want %d, whole", name(id), nr+1, got.SequenceNr, len(got.State), err, nr)
			}
		}
	}
	if t.Failed() {
		return
	}
	for info, err := range fresh.List(t.Context(), "") {
		if err != nil || !strings.HasPrefix(info.PersistenceID, "order-") {
			t.Errorf("List: %+v, %v", info, err)
		}
	}
}
