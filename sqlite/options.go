package sqlite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/snapstack/snapstack/store"
)

// A JournalMode is how SQLite makes a transaction atomic; see
// https://sqlite.org/pragma.html#pragma_journal_mode. Those that can lose a file in
// a crash (MEMORY, OFF) are not offered.
type JournalMode string

// The journal modes. Only in WAL do readers not wait for a writer.
const (
	WAL      JournalMode = "WAL"
	Delete   JournalMode = "DELETE"
	Truncate JournalMode = "TRUNCATE"
	Persist  JournalMode = "PERSIST"
)

// Synchronous is when SQLite waits for the disk; see
// https://sqlite.org/pragma.html#pragma_synchronous.
type Synchronous string

// The ways to wait, from the least to the most.
const (
	Off    Synchronous = "OFF"    // a loss of power can damage the file
	Normal Synchronous = "NORMAL" // in WAL, a loss of power can lose the last saves
	Full   Synchronous = "FULL"
	Extra  Synchronous = "EXTRA"
)

var (
	journalModes = []JournalMode{WAL, Delete, Truncate, Persist}
	synchronous  = []Synchronous{Off, Normal, Full, Extra}
)

const (
	defaultTable       = "snapshots"
	defaultBusyTimeout = 5 * time.Second
)

// Options configures a Store. The zero value is a good default.
type Options struct {
	// Table is the name of the table: a letter or "_", then letters, digits and
	// "_", up to 63 in all, and not beginning with "sqlite_". Empty means
	// "snapshots".
	Table string

	// JournalMode and Synchronous are set by Open, in any case of letters; empty
	// means WAL and FULL. With New they are the application's and must be empty.
	JournalMode JournalMode
	Synchronous Synchronous

	// BusyTimeout is how long a call waits for a lock that another connection
	// holds; 0 means 5 s. With New, the driver's own busy timeout counts where it
	// is longer.
	BusyTimeout time.Duration

	// Keep is how many snapshots of an id remain at or below the one just saved;
	// 0 keeps all.
	Keep int

	// OnPruneError is told why older snapshots were not removed, by the goroutine
	// whose Save should have, before that returns; nil means nobody is told. The
	// next Save of the id tries again. Saves call it concurrently and with no lock
	// held: it may use the Store, but not close it.
	OnPruneError func(error)

	// Now gives the timestamp of snapshots that are saved without one; nil means
	// time.Now.
	Now func() time.Time
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// complete checks the options and puts the defaults in.
func (o *Options) complete() error {
	if o.Table == "" {
		o.Table = defaultTable
	}
	if !tableName.MatchString(o.Table) || strings.HasPrefix(strings.ToLower(o.Table), "sqlite_") {
		return fmt.Errorf("%w Table %q; allowed are a letter or _, then letters, digits and _, up to 63 in all, not beginning with sqlite_", store.ErrInvalid, o.Table)
	}
	o.JournalMode = JournalMode(strings.ToUpper(string(o.JournalMode)))
	if o.JournalMode != "" && !slices.Contains(journalModes, o.JournalMode) {
		return fmt.Errorf("%w JournalMode %q; allowed are %v", store.ErrInvalid, o.JournalMode, journalModes)
	}
	o.Synchronous = Synchronous(strings.ToUpper(string(o.Synchronous)))
	if o.Synchronous != "" && !slices.Contains(synchronous, o.Synchronous) {
		return fmt.Errorf("%w Synchronous %q; allowed are %v", store.ErrInvalid, o.Synchronous, synchronous)
	}
	if o.BusyTimeout < 0 {
		return fmt.Errorf("%w BusyTimeout %v; allowed are 0 (for %v) and more", store.ErrInvalid, o.BusyTimeout, defaultBusyTimeout)
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	if o.Keep < 0 {
		return fmt.Errorf("%w Keep %d; allowed are 0 (all) and more", store.ErrInvalid, o.Keep)
	}
	return nil
}

// ParseJournalMode returns the mode of that name, in any case of letters, or
// ErrInvalid. The empty name stands for the default.
func ParseJournalMode(name string) (JournalMode, error) {
	o := Options{JournalMode: JournalMode(name)}
	if err := o.complete(); err != nil {
		return "", fmt.Errorf("sqlite: %w", err)
	}
	return o.JournalMode, nil
}

// ParseSynchronous returns the setting of that name, in any case of letters, or
// ErrInvalid. The empty name stands for the default.
func ParseSynchronous(name string) (Synchronous, error) {
	o := Options{Synchronous: Synchronous(name)}
	if err := o.complete(); err != nil {
		return "", fmt.Errorf("sqlite: %w", err)
	}
	return o.Synchronous, nil
}
