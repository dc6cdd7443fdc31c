package observe

import (
	"context"
	"errors"

	"github.com/snapstack/snapstack/store"
)

// An Outcome is what came of an operation, in one of a few words: fit for the label of
// a metric.
type Outcome string

// The outcomes.
const (
	OK          Outcome = "ok"
	NotFound    Outcome = "not_found"   // store.ErrNotFound
	Invalid     Outcome = "invalid"     // store.ErrInvalid
	TooLarge    Outcome = "too_large"   // store.ErrTooLarge
	Corrupt     Outcome = "corrupt"     // store.ErrCorrupt
	Closed      Outcome = "closed"      // store.ErrClosed
	Unsupported Outcome = "unsupported" // errors.ErrUnsupported
	Canceled    Outcome = "canceled"    // the caller's context was cancelled
	Timeout     Outcome = "timeout"     // the caller's context came to its deadline
	Failed      Outcome = "error"       // anything else
)

var outcomes = []struct {
	err     error
	outcome Outcome
}{
	{store.ErrNotFound, NotFound},
	{store.ErrInvalid, Invalid},
	{store.ErrTooLarge, TooLarge},
	{store.ErrCorrupt, Corrupt},
	{store.ErrClosed, Closed},
	{errors.ErrUnsupported, Unsupported},
	{context.Canceled, Canceled},
	{context.DeadlineExceeded, Timeout},
}

// Outcome returns what came of the operation.
func (r Result) Outcome() Outcome {
	if r.Err == nil {
		return OK
	}
	for _, o := range outcomes {
		if errors.Is(r.Err, o.err) {
			return o.outcome
		}
	}
	return Failed
}

// Failure says whether the outcome is one that somebody should look at: neither
// success, nor absence, nor a caller who gave up.
func (o Outcome) Failure() bool { return o != OK && o != NotFound && o != Canceled }
