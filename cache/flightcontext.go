package cache

import (
	"context"
	"sync"
	"time"
)

// A flightContext is the context of a flight: it has the values of the caller who
// began it, no deadline, and ends when cancel is called. It is what
// context.WithCancel of context.WithoutCancel would be, but that a context which can
// be waited for is made by the first Done: for many a load nobody waits, and to make
// one costs a tenth of what the flight does.
type flightContext struct {
	values context.Context // the caller's, without its end

	mu     sync.Mutex
	ended  bool
	made   context.Context // nil before the first Done
	cancel context.CancelFunc
}

var _ context.Context = (*flightContext)(nil)

// Deadline implements context.Context.
func (c *flightContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements context.Context.
func (c *flightContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made, c.cancel = context.WithCancel(c.values)
		if c.ended {
			c.cancel()
		}
	}
	return c.made.Done()
}

// Err implements context.Context.
func (c *flightContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. Once there is a context that can be waited for it
// answers: package context asks for what it hangs the children of a context on, and
// would otherwise start a goroutine for each.
func (c *flightContext) Value(key any) any {
	c.mu.Lock()
	made := c.made
	c.mu.Unlock()
	if made != nil {
		return made.Value(key)
	}
	return c.values.Value(key)
}

// end ends the context.
func (c *flightContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}
