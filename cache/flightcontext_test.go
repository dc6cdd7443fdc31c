package cache

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

type contextKey struct{}

func newFlightContext(t *testing.T) *flightContext {
	caller, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "trace-1"))
	cancel()
	return &flightContext{values: context.WithoutCancel(caller)}
}

// A flight has the values of its caller, and not its end.
func TestFlightContext(t *testing.T) {
	for name, prepare := range map[string]func(*flightContext){
		"Waited":   func(c *flightContext) { c.Done() },
		"Unwaited": func(*flightContext) {},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFlightContext(t)
			prepare(c)
			if _, ok := c.Deadline(); ok || c.Err() != nil || context.Cause(c) != nil {
				t.Errorf("a deadline: %v; Err %v, Cause %v; want none", ok, c.Err(), context.Cause(c))
			}
			if got := c.Value(contextKey{}); got != "trace-1" {
				t.Errorf("Value = %v; want that of the caller", got)
			}
			c.end()
			<-c.Done()
			if !errors.Is(c.Err(), context.Canceled) || !errors.Is(context.Cause(c), context.Canceled) {
				t.Errorf("after its end Err is %v, Cause %v; want Canceled", c.Err(), context.Cause(c))
			}
			c.end()
		})
	}
}

// Contexts that an inner store derives end with it, and need no goroutine for that.
func TestContextsDerivedFromAFlight(t *testing.T) {
	c := newFlightContext(t)
	before := runtime.NumGoroutine()
	child, cancel := context.WithTimeout(c, time.Hour)
	defer cancel()
	if now := runtime.NumGoroutine(); now != before {
		t.Errorf("%d goroutines with a derived context, %d without", now, before)
	}
	c.end()
	<-child.Done()
	if !errors.Is(child.Err(), context.Canceled) {
		t.Errorf("Err of a derived context is %v; want Canceled", child.Err())
	}
}
