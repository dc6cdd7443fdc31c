package store

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels to be matched with errors.Is.
var (
	// ErrNotFound says that no snapshot answers the load. It is never used for a
	// failure.
	ErrNotFound = errors.New("snapshot not found")

	// ErrInvalid says that an argument or option is outside what is allowed.
	// Nothing was touched.
	ErrInvalid = errors.New("invalid")

	// ErrTooLarge says that the state is larger than a layer accepts. Nothing was
	// stored.
	ErrTooLarge = errors.New("state too large")

	// ErrCorrupt says that what is stored is not what was saved. The SequenceNr of
	// the *Error around it is that of the corrupt snapshot, or 0 where the damage is
	// such that no number can be told.
	ErrCorrupt = errors.New("snapshot corrupt")

	// ErrClosed says that the store was closed before the call. Nothing was done.
	ErrClosed = errors.New("store closed")
)

// The operations that an Error can name.
const (
	OpOpen       = "open"
	OpSave       = "save"
	OpLoadLatest = "load latest"
	OpLoadBefore = "load before"
	OpDelete     = "delete"
	OpList       = "list"
	OpPrune      = "prune" // the part of a Save that obeys Keep; only OnPruneError sees it
	OpBackup     = "backup"
	OpCheck      = "check"
	OpClose      = "close"
)

// Error is what every failing operation of a store returns, so that a log line
// names the entity.
type Error struct {
	Op            string // one of the Op constants
	PersistenceID string // empty for an operation on the whole store

	// SequenceNr is the number saved, the bound of a LoadBefore, Delete or prune, or the
	// number of the snapshot found corrupt; 0 where none applies.
	SequenceNr uint64

	Err error // why; never nil
}

// Error returns one line, for instance: save "order-42" at 7: disk full.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.PersistenceID != "" {
		fmt.Fprintf(&b, " %s", quoteID(e.PersistenceID))
	}
	switch {
	case e.Op == OpOpen, e.Op == OpList && e.SequenceNr == 0:
		// It is about the store or a listing as a whole, also where that is corrupt.
	case errors.Is(e.Err, ErrCorrupt) && (e.PersistenceID != "" || e.SequenceNr > 0), e.Op == OpSave:
		fmt.Fprintf(&b, " at %d", e.SequenceNr)
	case e.Op == OpLoadBefore:
		fmt.Fprintf(&b, " below %d", e.SequenceNr)
	case e.Op == OpDelete, e.Op == OpPrune:
		fmt.Fprintf(&b, " up to %d", e.SequenceNr)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Wrap returns err as an *Error that names the operation and the entity. It
// returns nil for a nil err, and err itself where a layer further in has named
// them already: the innermost layer knows best.
func Wrap(op, persistenceID string, sequenceNr uint64, err error) error {
	if err == nil {
		return nil
	}
	var named *Error
	if errors.As(err, &named) {
		return err
	}
	return &Error{Op: op, PersistenceID: persistenceID, SequenceNr: sequenceNr, Err: err}
}

// quoteID quotes an id for a log line. An id over the limit is in the error that
// says so, and is cut: the caller may have passed megabytes.
func quoteID(id string) string {
	const shown = 64
	if len(id) > MaxIDBytes {
		return fmt.Sprintf("%q...", id[:shown])
	}
	return fmt.Sprintf("%q", id)
}
