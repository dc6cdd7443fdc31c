package advice

import (
	"slices"
	"strconv"
	"strings"

	"github.com/snapstack/snapstack/bench/run"
	"github.com/snapstack/snapstack/store/stack"
)

// A subject is one stack of a run.
type subject struct {
	*run.Stack
	number int        // from 1, as in the table
	spec   stack.Spec // nil where the text is not a stack's
}

func subjects(r run.Run) []subject {
	var all []subject
	for i := range r.Stacks {
		s := subject{Stack: &r.Stacks[i], number: i + 1}
		// A store of the user's own has a name that is no text of a stack, and is
		// compared as a whole.
		s.spec, _ = stack.Split(s.Text)
		all = append(all, s)
	}
	return all
}

// usable returns the subjects whose figures mean something: those of a stack that gives
// wrong answers, or none, don't.
func usable(all []subject) []subject {
	var usable []subject
	for _, s := range all {
		if s.measured() && s.Stale == 0 && s.Wrong == 0 && s.Errors == 0 {
			usable = append(usable, s)
		}
	}
	return usable
}

func (s subject) measured() bool { return s.OpsPerSecond > 0 && finite(s.OpsPerSecond) }

func (s subject) operations() int64 { return s.Loads.Count + s.Saves.Count }

// name returns "stack 3".
func (s subject) name() string { return "stack " + strconv.Itoa(s.number) }

// layers returns the names of the layers with bars between them; the text where it is not
// a stack's.
func (s subject) layers() string {
	if s.spec == nil {
		return s.Text
	}
	names := make([]string, len(s.spec))
	for i, layer := range s.spec {
		names[i] = layer.Name
	}
	return strings.Join(names, " | ")
}

func (s subject) has(layer string) bool {
	return slices.ContainsFunc(s.spec, func(l stack.Layer) bool { return l.Name == layer })
}

// layer returns what was measured of the outermost layer of the name, and of the one
// beneath it.
func (s subject) layer(name string) (layer, beneath run.Layer, found bool) {
	at := slices.IndexFunc(s.Layers, func(l run.Layer) bool { return l.Name == name })
	if at < 0 {
		return run.Layer{}, run.Layer{}, false
	}
	if at+1 < len(s.Layers) {
		beneath = s.Layers[at+1]
	}
	return s.Layers[at], beneath, true
}

// volatile tells whether the backend is in the memory of the process, so that nothing
// outlives it.
func (s subject) volatile() bool {
	if len(s.spec) == 0 {
		return false
	}
	backend := s.spec[len(s.spec)-1]
	return backend.Name == "memory" || value(backend, "url") == "mem://" || value(backend, "path") == ":memory:"
}

// value returns the value of an option; "" where it is not given.
func value(l stack.Layer, option string) string {
	for _, o := range l.Options {
		if o.Name == option {
			return o.Value
		}
	}
	return ""
}

// withoutPlaces returns the spec without the options that say where snapshots are kept:
// each stack of a run has a place of its own, which is no difference between them. Of a
// URL its scheme stays.
func withoutPlaces(spec stack.Spec) stack.Spec {
	bare := make(stack.Spec, len(spec))
	for i, layer := range spec {
		bare[i].Name = layer.Name
		for _, o := range layer.Options {
			switch {
			case o.Name == "path", o.Name == "prefix", o.Name == "table":
				continue
			case o.Name == "url":
				o.Value, _, _ = strings.Cut(o.Value, ":")
			}
			bare[i].Options = append(bare[i].Options, o)
		}
	}
	return bare
}
