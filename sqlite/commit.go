package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// A write is a Save or Delete on its way to the database.
type write struct {
	queued    time.Time
	statement string
	args      []any
	saves     bool  // a Save, not a Delete
	bytes     int   // of its state
	prune     []any // arguments of the prune that follows; nil for none

	lead chan struct{} // closed when its caller is to lead
	done chan struct{} // closed when the rest is set

	err      error
	pruneErr error
}

func newWrite(statement string, args ...any) *write {
	return &write{
		queued:    time.Now(),
		statement: statement,
		args:      args,
		lead:      make(chan struct{}),
		done:      make(chan struct{}),
	}
}

// A queue holds the writes that nobody has begun. Where it is not empty somebody
// leads.
type queue struct {
	mu      sync.Mutex
	waiting []*write
	led     bool
	batch   int // how many writes the last commit held

	// doubtful is set, by who leads, after a ROLLBACK that failed: the connection may
	// still be in a transaction, and only a BEGIN tells.
	doubtful bool
}

// remove takes w out, and says whether it was still there.
func (q *queue) remove(w *write) bool {
	at := slices.Index(q.waiting, w)
	if at < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, at, at+1)
	return true
}

// gather lets those queue up whom the commit before this one has let go, until as
// many are there again or no more come. The first of them would commit alone
// otherwise, while all others wait for it, again and again. It does not sleep: where
// nobody comes it is over at once, and after a commit of one write nobody is expected.
func (q *queue) gather() {
	for before := 0; ; {
		q.mu.Lock()
		now, expected := len(q.waiting), q.batch
		q.mu.Unlock()
		if now >= expected || now == before {
			return
		}
		before = now
		runtime.Gosched()
	}
}

// handOver ends a lead: the first in the queue takes it, or nobody does.
func (q *queue) handOver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.led = len(q.waiting) > 0; q.led {
		close(q.waiting[0].lead)
	}
}

// submit gets w committed, together with what else waits. When it returns, nothing
// reads the arguments of w any more.
func (s *Store) submit(ctx context.Context, w *write) error {
	q := &s.queue
	q.mu.Lock()
	q.waiting = append(q.waiting, w)
	leads := !q.led
	q.led = true
	q.mu.Unlock()

	if !leads {
		select {
		case <-w.done:
			return cause(ctx, w.err)
		case <-w.lead:
		case <-ctx.Done():
			q.mu.Lock()
			removed := q.remove(w)
			q.mu.Unlock()
			if !removed {
				// A leader has begun with it. Its state may be read until the commit
				// is over, and then it is known what became of it.
				<-w.done
				return cause(ctx, w.err)
			}
			// Both may have come at once; then the lead is ours to pass on. It is
			// handed only to what is in the queue, so not after remove.
			select {
			case <-w.lead:
				q.handOver()
			default:
			}
			return ctx.Err()
		}
	}
	s.leadWith(ctx, w)
	return cause(ctx, w.err)
}

// leadWith commits w, which is in the queue, with all that wait by then, and hands
// the lead over.
func (s *Store) leadWith(ctx context.Context, w *write) {
	q := &s.queue
	defer q.handOver()
	q.gather()

	conn, err := s.db.writer(ctx)
	if err == nil {
		defer conn.release()
		if s.commitLone(ctx, conn, w) {
			return
		}
		err = s.begin(ctx, conn, w.queued)
	}
	if err != nil {
		// Nothing was begun. Those who have waited as long as they wanted to for the
		// lock fail along; the others still have time.
		q.mu.Lock()
		defer q.mu.Unlock()
		q.remove(w)
		w.err = err
		if ctx.Err() == nil && isBusy(err) {
			for _, other := range slices.Clone(q.waiting) {
				if time.Since(other.queued) >= s.opts.BusyTimeout {
					q.remove(other)
					other.err = err
					close(other.done)
				}
			}
		}
		return
	}

	q.mu.Lock()
	batch := q.waiting
	q.waiting = nil
	q.batch = len(batch)
	q.mu.Unlock()
	// From here on the writes of others depend on this: it must not end with the
	// context of whoever happens to lead.
	s.commit(context.WithoutCancel(ctx), conn, batch)
	for _, done := range batch {
		close(done.done)
	}
}

// commitLone commits w in its own statement where nobody else waits and it has no
// prune, which saves a lone Save the BEGIN and the COMMIT. It returns false where that
// is not so, or the lock is not free: then w is in the queue as it was.
//
// It is for WAL alone: in the other modes a COMMIT that waits for readers keeps new ones
// out, which a statement that is tried again from its beginning can't. And it is for
// the store's own connections, whose statements no context interrupts half way. Within
// a transaction that is still open the statement would not be committed.
func (s *Store) commitLone(ctx context.Context, conn writer, w *write) bool {
	q := &s.queue
	if s.checkpointer == nil || w.prune != nil || q.doubtful {
		return false
	}
	q.mu.Lock()
	lone := len(q.waiting) == 1
	if lone {
		q.waiting, q.batch = nil, 1
	}
	q.mu.Unlock()
	if !lone {
		return false
	}
	w.err = conn.exec(ctx, w.statement, w.args...)
	if isBusy(w.err) {
		q.mu.Lock()
		q.waiting = slices.Insert(q.waiting, 0, w)
		q.mu.Unlock()
		return false
	}
	if w.err == nil {
		s.committed([]*write{w})
	}
	return true
}

// begin begins a transaction with the write lock, so that it can't fail later
// because another connection wrote since it read.
func (s *Store) begin(ctx context.Context, conn writer, since time.Time) error {
	err := s.retryBusy(ctx, since, func() error { return conn.exec(ctx, "BEGIN IMMEDIATE") })
	if err != nil && ctx.Err() != nil {
		// A BEGIN whose context ended may have taken effect all the same. Usually it
		// has not, and SQLite says that there is nothing to roll back.
		_ = conn.exec(context.WithoutCancel(ctx), "ROLLBACK")
	}
	if err == nil {
		s.queue.doubtful = false
	}
	return err
}

// errTransactionLost says that a failed prune took the transaction with it.
var errTransactionLost = errors.New("the transaction was rolled back")

// commit carries the batch out in the transaction that was begun, and sets the
// results.
func (s *Store) commit(ctx context.Context, conn writer, batch []*write) {
	err := s.carryOut(ctx, conn, batch)
	if err == nil {
		// A COMMIT that readers keep waiting, as they can without WAL, may go on.
		// After any other error nobody knows what is on the disk, so it is not tried
		// again.
		err = s.retryBusy(ctx, time.Time{}, func() error { return conn.exec(ctx, "COMMIT") })
		if err != nil {
			err = s.rollback(ctx, conn, err)
		} else {
			s.committed(batch)
		}
		for _, w := range batch {
			w.err = err
		}
		return
	}
	err = s.rollback(ctx, conn, err)
	switch {
	case len(batch) > 1:
		// One of them spoiled it, and nothing is stored. Each gets a transaction of
		// its own; but once one has waited for a lock in vain, the others would only
		// wait as long again, one after the other.
		var locked error
		for _, w := range batch {
			if locked != nil {
				w.err = locked
				continue
			}
			s.commitAlone(ctx, conn, w)
			if isBusy(w.err) {
				locked = w.err
			}
		}
	case errors.Is(err, errTransactionLost):
		batch[0].prune = nil // which must not fail the Save; pruneErr stays
		s.commitAlone(ctx, conn, batch[0])
	default:
		batch[0].err = err
	}
}

// committed notes a transaction that was committed.
func (s *Store) committed(batch []*write) {
	s.counters.committed(batch)
	if s.checkpointer == nil {
		return
	}
	var bytes int64
	for _, w := range batch {
		bytes += int64(w.bytes)
	}
	s.checkpointer.wrote(bytes, len(batch))
}

// commitAlone commits w in a transaction of its own.
func (s *Store) commitAlone(ctx context.Context, conn writer, w *write) {
	if w.err = s.begin(ctx, conn, time.Time{}); w.err == nil {
		s.commit(ctx, conn, []*write{w})
	}
}

// carryOut runs the statements of the batch. It stops at the first write that
// fails; a failed prune is noted and does not count.
func (s *Store) carryOut(ctx context.Context, conn writer, batch []*write) error {
	for _, w := range batch {
		// Connections that share a cache lock each other out of a table, whoever
		// holds the write lock (https://sqlite.org/sharedcache.html).
		err := s.retryBusy(ctx, time.Time{}, func() error { return conn.exec(ctx, w.statement, w.args...) })
		if err != nil {
			return err
		}
		if w.prune == nil {
			continue
		}
		w.pruneErr = s.retryBusy(ctx, time.Time{}, func() error { return conn.exec(ctx, s.sql.prune, w.prune...) })
		if w.pruneErr != nil && !inTransaction(ctx, conn) {
			return errTransactionLost
		}
	}
	return nil
}

// inTransaction says whether the transaction is still there after a statement
// failed. SQLite ends it by itself after some errors, and would then commit every
// further statement on its own.
func inTransaction(ctx context.Context, conn writer) bool {
	// A BEGIN fails within a transaction, and only there: it takes no lock yet.
	return conn.exec(ctx, "BEGIN") != nil
}

// rollback ends the transaction that failed with err, which it returns.
func (s *Store) rollback(ctx context.Context, conn writer, err error) error {
	// SQLite rolls back by itself after some errors, a full disk for one, and then
	// says that there is no transaction: which is what is wanted. Where it can't, the
	// next BEGIN fails and says so.
	rollbackErr := conn.exec(ctx, "ROLLBACK")
	if rollbackErr != nil && !strings.Contains(rollbackErr.Error(), "no transaction is active") {
		s.queue.doubtful = true
		return fmt.Errorf("%w (and ROLLBACK: %v)", err, rollbackErr)
	}
	return err
}
