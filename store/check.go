package store

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxIDBytes is the greatest length of a persistence id, in bytes.
	MaxIDBytes = 1024

	// MaxSequenceNr is the greatest sequence number of a snapshot.
	MaxSequenceNr = math.MaxInt64
)

// CheckID returns an error matching ErrInvalid unless id is a valid persistence
// id. For implementers of SnapshotStore, before anything is touched.
func CheckID(id string) error {
	const allowed = "allowed are 1 to 1024 bytes of valid UTF-8 without NUL"
	switch {
	case id == "":
		return fmt.Errorf("%w persistence id: empty; %s", ErrInvalid, allowed)
	case len(id) > MaxIDBytes:
		return fmt.Errorf("%w persistence id: %d bytes; %s", ErrInvalid, len(id), allowed)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w persistence id: not valid UTF-8; %s", ErrInvalid, allowed)
	case strings.IndexByte(id, 0) >= 0:
		return fmt.Errorf("%w persistence id: has a NUL byte; %s", ErrInvalid, allowed)
	}
	return nil
}

// CheckSave returns an error matching ErrInvalid unless snap may be saved. For
// implementers of SnapshotStore, before anything is touched.
func CheckSave(snap Snapshot) error {
	if err := CheckID(snap.PersistenceID); err != nil {
		return err
	}
	if snap.SequenceNr > MaxSequenceNr {
		return fmt.Errorf("%w sequence number %d; allowed are 0 to %d", ErrInvalid, snap.SequenceNr, int64(MaxSequenceNr))
	}
	// UnixMilli wraps around, silently, for times some 292 million years away.
	if lost := snap.Timestamp.Sub(time.UnixMilli(snap.Timestamp.UnixMilli())); lost < 0 || lost >= time.Millisecond {
		return fmt.Errorf("%w timestamp in year %d; allowed is what fits 64 bits of Unix milliseconds", ErrInvalid, snap.Timestamp.Year())
	}
	return nil
}

// SaveTime returns the timestamp to store for a snapshot saved with ts: whole
// milliseconds in UTC, and what now returns (time.Now where now is nil) for the
// zero time. For implementers of backends.
func SaveTime(ts time.Time, now func() time.Time) time.Time {
	if ts.IsZero() {
		if now == nil {
			now = time.Now
		}
		ts = now()
	}
	return time.UnixMilli(ts.UnixMilli()).UTC()
}
