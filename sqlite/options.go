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
	defaultPageSize    = 8192

	minCheckpointBytes = 64 << 10
	maxCheckpointBytes = 1 << 30
)

// maxStateBytes is what SQLite takes for a row, 1,000,000,000 bytes, less what
// stands in the row beside the state: the id of up to 1024 bytes, two numbers and
// the header.
const maxStateBytes = 1_000_000_000 - 2048

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

	// PageSize is the size of the pages of a file that Open creates, in bytes: a
	// power of two from 512 to 65536; 0 means 8192. A file that is there keeps its
	// own. SQLite's own default of 4096 makes loads of 64 KB and more slower; more
	// than 8192 makes small saves slower. With New it must be 0.
	PageSize int

	// CheckpointBytes is how much Saves write to the WAL, in bytes, about, until it is
	// moved to the file in the background: 65536 to 1,073,741,824; 0 means 4 MiB. The
	// file of the WAL grows to some times that; see the package's comment. It is not
	// looked at without a WAL, and with New it must be 0.
	CheckpointBytes int64

	// MaxStateBytes is the size of a state above which Save returns ErrTooLarge,
	// before anything is done with it: 1 to 999,997,952, which is what SQLite takes;
	// 0 means the latter. A driver or connection may have been set to take less:
	// that is ErrTooLarge too.
	MaxStateBytes int

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
	if o.PageSize != 0 && (o.PageSize < 512 || o.PageSize > 65536 || o.PageSize&(o.PageSize-1) != 0) {
		return fmt.Errorf("%w PageSize %d; allowed are 0 (for %d) and the powers of two from 512 to 65536", store.ErrInvalid, o.PageSize, defaultPageSize)
	}
	if o.CheckpointBytes != 0 && (o.CheckpointBytes < minCheckpointBytes || o.CheckpointBytes > maxCheckpointBytes) {
		return fmt.Errorf("%w CheckpointBytes %d; allowed are 0 (for %d) and %d to %d", store.ErrInvalid, o.CheckpointBytes, defaultCheckpointBytes, minCheckpointBytes, maxCheckpointBytes)
	}
	if o.MaxStateBytes < 0 || o.MaxStateBytes > maxStateBytes {
		return fmt.Errorf("%w MaxStateBytes %d; allowed are 0 (for %d) to %d", store.ErrInvalid, o.MaxStateBytes, maxStateBytes, maxStateBytes)
	}
	if o.MaxStateBytes == 0 {
		o.MaxStateBytes = maxStateBytes
	}
	return nil
}

// completeForOpen puts the defaults in that are the application's with New.
func (o *Options) completeForOpen() {
	if o.JournalMode == "" {
		o.JournalMode = WAL
	}
	if o.Synchronous == "" {
		o.Synchronous = Full
	}
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	if o.CheckpointBytes == 0 {
		o.CheckpointBytes = defaultCheckpointBytes
	}
}

// checkForNew checks that nothing is set that is the application's with New.
func (o *Options) checkForNew() error {
	if o.JournalMode != "" || o.Synchronous != "" || o.PageSize != 0 || o.CheckpointBytes != 0 {
		return fmt.Errorf("%w JournalMode %q, Synchronous %q, PageSize %d, CheckpointBytes %d; on a shared database they are the application's, and must be empty or 0 here",
			store.ErrInvalid, o.JournalMode, o.Synchronous, o.PageSize, o.CheckpointBytes)
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
