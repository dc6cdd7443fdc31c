package store

import (
	"context"
	"sync"
	"sync/atomic"
)

// A Gate keeps the Close clause of the contract for implementers of
// SnapshotStore: every operation passes it, Close shuts it, waits for the
// operations inside, and lets nothing in after. The zero Gate is open. It costs
// two atomic additions an operation.
type Gate struct {
	// state is twice the number of operations inside, plus one when shut: a
	// single word, so that an operation either is counted before Close looks or
	// sees that the gate is shut.
	state atomic.Int64

	once    sync.Once
	drained chan struct{} // made by Close before it shuts the gate
	err     error         // what Close returns
}

// Enter lets an operation in. It returns ErrClosed after Close, or ctx.Err()
// when ctx has ended; only after a nil error must Leave be called.
func (g *Gate) Enter(ctx context.Context) error {
	if g.state.Add(2)&1 != 0 {
		return g.turnAway(ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return g.turnAway(err)
	}
	return nil
}

// Leave ends an operation that Enter let in.
func (g *Gate) Leave() {
	if g.state.Add(-2) == 1 { // exactly 1 means shut and empty
		g.drain()
	}
}

// Close shuts the gate, waits until all operations have left, then calls release
// (which may be nil) and returns its error. Later calls wait for the first and
// return the same.
func (g *Gate) Close(release func() error) error {
	g.once.Do(func() {
		g.drained = make(chan struct{}, 1)
		if g.state.Add(1) != 1 {
			<-g.drained
		}
		if release != nil {
			g.err = release()
		}
	})
	return g.err
}

func (g *Gate) turnAway(err error) error {
	g.Leave()
	return err
}

// drain tells Close that the last operation has left. An Enter that is turned away
// gets here too, so it can happen more than once: the send must not block.
func (g *Gate) drain() {
	select {
	case g.drained <- struct{}{}:
	default:
	}
}
