// Package stack builds a stack of layers from one line of text, for
// configuration files and command lines:
//
//	cache(size=64MiB,ttl=5m) | singleflight | zstd(level=fastest) | sqlite(path=snapshots.db,keep=3)
//
// # Text form
//
// Layers stand outermost first, separated by "|": wrappers, then one backend. A
// layer is a name, and its options in parentheses where it has any, as name=value
// separated by commas. A value is taken as it stands, without the space around it;
// one that holds any of , ( ) | " or begins or ends with space is written as a Go
// string: path="a, b.db". White space is free elsewhere.
//
// Sizes are bytes or have a unit, as 64MiB or 64MB. Durations are those of
// time.ParseDuration, as 5m or 1m30s. Switches are true or false. An option that is
// not given has the default of its package.
//
//	memory        keep
//	sqlite        path (required), table, journal, sync, busy_timeout, keep, page_size, checkpoint, max
//	objectstore   url (required), prefix, keep, prune_async, create_only
//	cache         size, max_entry, policy, ttl, negative_ttl
//	singleflight
//	zstd          level, min, max, dict, concurrency
//	delta         min, share, deltas, keep, size, max, writer
//	encrypt       keys (required), context (required), mode, migrate
//	fallback      attempts
//	limit         loads
//	log           layer; operations go to slog's default logger
//	route         for each prefix of ids a stack
//
// The options are the fields of the Options of the layer's package, under their names or
// shorter ones: size is MaxBytes, max_entry MaxEntryBytes, min MinBytes, max MaxStateBytes
// or MaxDecodedBytes, journal JournalMode, sync Synchronous, checkpoint CheckpointBytes, and
// dict one of the Dictionaries. What they mean is said there.
//
// What a layer opened from text has to report goes to slog's default logger, too: each
// corrupt snapshot that a fallback passed over, and why a backend could not remove what
// keep lets go.
//
// The dict of a zstd is the path of a file with a dictionary. It may be given several
// times: the first compresses, all decompress. The files are read whenever a text or a
// Spec is checked. A min of 0 compresses every state, and of a delta every state may be
// stored as a difference. Where there is a delta, keep is its own and not the backend's.
//
// The url of an objectstore is mem:// (a bucket in memory, empty at first),
// file:///directory, or
// s3://bucket?endpoint=http://host:port&region=r&path_style=true, where everything
// behind the bucket is optional; s3.ParseURL lists the parameters. Credentials come
// from the environment.
//
// A route stands last, like a backend, and has a stack for each prefix of persistence
// ids: its options are the prefixes, as Go strings where they hold more than letters,
// digits, "_" and "-". The longest that matches decides; "" matches every id.
//
//	cache | route(report-="zstd(level=best) | sqlite(path=reports.db)", ""="sqlite(path=rest.db)")
//
// The keys of encrypt are env:NAME, an environment variable, or file:PATH, and never the
// keys themselves. [Spec.Warnings] tells of orders that waste work or leave states
// readable.
//
// # Errors
//
// What is wrong in a text is store.ErrInvalid, and the error names the layer, the
// option and what is allowed. Nothing is opened or created for a text that is
// wrong anywhere.
//
// Of the libraries used here beside the layers' own, dustin/go-humanize reads the
// sizes.
package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/snapstack/snapstack/store"
)

// A Spec is a stack that has been described but not opened: its layers, outermost
// first.
type Spec []Layer

// A Layer is one layer of a Spec.
type Layer struct {
	Name    string
	Options []Option // in the order of the text
}

// An Option is one option of a Layer, with the value as it is meant: not quoted.
type Option struct {
	Name, Value string
}

// Parse reads the text form and checks it: the names of layers and options, their
// values, and that a backend stands last and nowhere else.
func Parse(text string) (Spec, error) {
	spec, err := Split(text)
	if err != nil {
		return nil, err
	}
	if err := spec.Check(); err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("stack: %w", err))
	}
	return spec, nil
}

// Split reads the text form without checking that its layers and options exist, and
// reads no file that it names: it is for texts of stacks that are not to be opened here,
// as of a run on another machine.
func Split(text string) (Spec, error) {
	p := parser{text: text}
	spec, err := p.spec()
	if err != nil {
		// Without the text: somebody may have written a password into a URL.
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("stack: %w", err))
	}
	return spec, nil
}

// Open opens the stack that text describes. Closing it closes every layer.
func Open(ctx context.Context, text string) (store.SnapshotStore, error) {
	spec, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return spec.Open(ctx)
}

// String returns the text form, which Parse reads as the same Spec.
func (s Spec) String() string {
	layers := make([]string, len(s))
	for i, layer := range s {
		layers[i] = layer.String()
	}
	return strings.Join(layers, " | ")
}

// String returns the text form of the layer alone.
func (l Layer) String() string {
	if len(l.Options) == 0 {
		return l.Name
	}
	options := make([]string, len(l.Options))
	for i, option := range l.Options {
		options[i] = quoteName(option.Name) + "=" + quote(option.Value)
	}
	return l.Name + "(" + strings.Join(options, ",") + ")"
}

// Check returns an error matching store.ErrInvalid unless the Spec can be opened as
// far as its text tells. Parse has done it; Check is for one put together in Go.
func (s Spec) Check() error {
	_, err := s.openers()
	return err
}

// Open opens the layers, the backend first. An observer is called with every layer
// when it has been opened, and returns it or a wrapper around it, which the next
// layer then holds: a place for counters. When a layer can't be opened those
// beneath are closed again.
func (s Spec) Open(ctx context.Context, observers ...func(Layer, store.SnapshotStore) store.SnapshotStore) (store.SnapshotStore, error) {
	openers, err := s.openers()
	if err != nil {
		return nil, store.Wrap(store.OpOpen, "", 0, fmt.Errorf("stack: %w", err))
	}
	var opened store.SnapshotStore
	for i := len(s) - 1; i >= 0; i-- {
		outer, err := openers[i](ctx, opened)
		if err != nil {
			if opened != nil {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
		for _, observe := range observers {
			outer = observe(s[i], outer)
		}
		opened = outer
	}
	return opened, nil
}

// openers checks the Spec and returns what opens each of its layers.
func (s Spec) openers() ([]opener, error) {
	if len(s) == 0 {
		return nil, fmt.Errorf("%w: no layer; at least a backend is needed: %s", store.ErrInvalid, namesOf(true))
	}
	openers := make([]opener, len(s))
	for i, layer := range s {
		kind, known := layerKinds[layer.Name]
		if !known {
			return nil, fmt.Errorf("%w: unknown layer %q; allowed are the wrappers %s and the backends %s",
				store.ErrInvalid, layer.Name, namesOf(false), namesOf(true))
		}
		last := i == len(s)-1
		if kind.backend && !last {
			return nil, fmt.Errorf("%w: the backend %q holds no other layer and must stand last, but %q follows", store.ErrInvalid, layer.Name, s[i+1].Name)
		}
		if !kind.backend && last {
			return nil, fmt.Errorf("%w: the wrapper %q stands last; a backend must: %s", store.ErrInvalid, layer.Name, namesOf(true))
		}
		values := newValues(layer)
		openers[i] = kind.read(values)
		if err := values.check(); err != nil {
			return nil, err
		}
		if layer.Name == "delta" {
			if err := s[i+1:].checkKeep(); err != nil {
				return nil, err
			}
		}
	}
	return openers, nil
}
