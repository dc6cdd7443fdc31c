package stack

import (
	"fmt"
	"slices"
)

// A warning is about a layer that stands outside of another, at any distance.
type warning struct {
	outer, inner string
	text         string
}

var warnings = []warning{
	{"encrypt", "zstd", "zstd beneath encrypt is given encrypted bytes, which do not shrink: put it outside of encrypt"},
	{"encrypt", "encrypt", "encrypt beneath encrypt seals what is sealed already"},
	{"zstd", "zstd", "zstd beneath zstd is given compressed bytes, which do not shrink again"},
	{"zstd", "delta", "delta beneath zstd is given compressed bytes, which have nothing in common: put it outside of zstd"},
	{"encrypt", "delta", "delta beneath encrypt is given encrypted bytes, which have nothing in common: put it outside of encrypt"},
	{"delta", "cache", "cache beneath delta may hold on to a difference whose base another process has removed: put it outside of delta"},
	{"delta", "fallback", "fallback beneath delta does not learn of bases that are missing: put it outside of delta"},
	{"cache", "encrypt", "cache outside of encrypt holds decrypted states in memory"},
	{"encrypt", "cache", "cache beneath encrypt holds sealed states, and every hit has to open one"},
	{"singleflight", "cache", "singleflight outside of cache costs every hit a flight: put it beneath the cache"},
	{"limit", "cache", "limit outside of cache makes hits wait for their turn: put it beneath the cache"},
	{"limit", "singleflight", "limit outside of singleflight gives each of those who load the same id a turn: put it beneath the singleflight"},
	{"zstd", "fallback", "fallback beneath zstd does not learn what zstd finds to be corrupt: put it outside of zstd"},
	{"encrypt", "fallback", "fallback beneath encrypt does not learn what encrypt finds to be corrupt: put it outside of encrypt"},
}

// Warnings returns what is unwise about the order of the layers: work that is wasted,
// and states that stay readable where they might not be meant to. A Spec with warnings
// is not wrong. Those of the stacks of a route name its prefix.
func (s Spec) Warnings() []string {
	var found []string
	for i, layer := range s {
		for _, inner := range s[i+1:] {
			for _, w := range warnings {
				if w.outer == layer.Name && w.inner == inner.Name && !slices.Contains(found, w.text) {
					found = append(found, w.text)
				}
			}
		}
		if layer.Name != "route" {
			continue
		}
		for _, option := range layer.Options {
			routed, err := Parse(option.Value)
			if err != nil {
				continue // Check says so
			}
			// What stands outside of the route stands outside of this as well.
			for _, text := range append(slices.Clone(s[:i]), routed...).Warnings() {
				if text = fmt.Sprintf("route %q: %s", option.Name, text); !slices.Contains(found, text) {
					found = append(found, text)
				}
			}
		}
	}
	return found
}
