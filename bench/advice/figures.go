package advice

import (
	"fmt"
)

// leastCalls is how many calls a layer needs for a share of them to be told.
const leastCalls = 100

// A share is what a layer of one stack did of something.
type share struct {
	subject subject
	value   float64
}

// figures says what the layers did, by their own counts.
func figures(usable []subject) []string {
	var hits, shared, zstd, delta, commits []share
	for _, s := range usable {
		if value, ok := s.hits(); ok {
			hits = append(hits, share{s, value})
		}
		if value, ok := s.sharedLoads(); ok {
			shared = append(shared, share{s, value})
		}
		if value, ok := s.passedOn("zstd"); ok {
			zstd = append(zstd, share{s, value})
		}
		if value, ok := s.passedOn("delta"); ok {
			delta = append(delta, share{s, value})
		}
		if len(s.Layers) > 0 {
			backend := s.Layers[len(s.Layers)-1]
			if backend.Commits != nil && *backend.Commits > 0 && backend.Saves >= leastCalls {
				commits = append(commits, share{s, float64(backend.Saves) / float64(*backend.Commits)})
			}
		}
	}
	var said []string
	say := func(shares []share, before string, show func(float64) string, after string) {
		if len(shares) > 0 {
			said = append(said, before+valuesOf(shares, show, len(usable) == 1)+after)
		}
	}
	say(hits, "The cache answered ", percent, " of the loads that came to it.")
	say(shared, "Of the loads that reached singleflight ", percent, " joined another one's.")
	say(zstd, "zstd passed on ", percent, " of the bytes saved.")
	say(delta, "delta passed on ", percent, " of the bytes saved.")
	say(commits, "A commit of the database paid for ", digits, " saves on average.")
	return said
}

// valuesOf returns the values of up to three stacks, and the least and the most of more;
// without their numbers where there is but one stack or one value.
func valuesOf(shares []share, show func(float64) string, single bool) string {
	const each = 3
	one := func(s share) string { return fmt.Sprintf("%s (%s)", show(s.value), s.subject.name()) }
	least, most := shares[0], shares[0]
	for _, s := range shares {
		if s.value < least.value {
			least = s
		}
		if s.value > most.value {
			most = s
		}
	}
	if single || len(shares) > 1 && show(least.value) == show(most.value) {
		return show(most.value)
	}
	if len(shares) <= each {
		var all []string
		for _, s := range shares {
			all = append(all, one(s))
		}
		return list(all)
	}
	return one(least) + " to " + one(most)
}

// hits returns the share of the loads that the outermost cache answered.
func (s subject) hits() (float64, bool) {
	cache, _, found := s.layer("cache")
	if !found || cache.Hits == nil || cache.Loads < leastCalls {
		return 0, false
	}
	return float64(*cache.Hits) / float64(cache.Loads), true
}

// sharedLoads returns the share of the loads at singleflight that joined another.
func (s subject) sharedLoads() (float64, bool) {
	flight, _, found := s.layer("singleflight")
	if !found || flight.Shared == nil || flight.Loads < leastCalls {
		return 0, false
	}
	return float64(*flight.Shared) / float64(flight.Loads), true
}

// passedOn returns the bytes that a layer saved beneath as a share of those it was given.
func (s subject) passedOn(name string) (float64, bool) {
	layer, beneath, found := s.layer(name)
	if !found || layer.Saves < leastCalls || layer.SaveBytes <= 0 || beneath.Saves < leastCalls {
		return 0, false
	}
	return float64(beneath.SaveBytes) / float64(layer.SaveBytes), true
}
