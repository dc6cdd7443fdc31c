package advice

import (
	"fmt"
	"strings"

	"github.com/snapstack/snapstack/bench/run"
)

const (
	// fullCache is the share of its limit from which on a cache has had to drop
	// entries: the last one seldom fits exactly.
	fullCache = 0.90
	// goodHits is the share of hits above which a larger cache has little left to win.
	goodHits = 0.95
	// emptyCache is the share of its limit below which a cache could be half as large
	// and still drop nothing.
	emptyCache = 0.50
	// fewHits is the share of hits below which a cache costs its memory for next to
	// nothing.
	fewHits = 0.05
	// fewShared is the share of joined loads below which singleflight is not what makes
	// a stack fast.
	fewShared = 0.01
	// hardlyShrunk is the share of the bytes that zstd or delta leaves from which on a
	// tenth less to store is all that their CPU time buys.
	hardlyShrunk = 0.90
	// smallState is the mean size in bytes up to which a dictionary pays: above it a
	// state has enough of its own to refer to.
	smallState = 4 << 10
	// slowLoad is the median of the loads, in seconds, from which on a backend is worth
	// a cache, whatever it is: a hit takes a thousandth of that.
	slowLoad = 1e-3
	// fastSave is the p50 of the saves, in seconds, below which a durable backend's disk
	// answers faster than most do: an fsync takes 0.2 to 10 ms elsewhere.
	fastSave = 0.5e-3
	// muchChanged is the share of a state that changes above which delta has little to
	// leave out.
	muchChanged = 0.30
)

// rules are what may be tried next, the most rewarding first. Each returns a sentence, or
// "" where it has nothing to say.
var rules = []func(run.Run, []subject, []sweep) string{
	largerCache, noCache, cacheInVain, smallerCache,
	zstdInVain, dictionary, noZstd,
	deltaPays, idleSingleflight, fastDisk,
}

// next says what to try next.
func next(r run.Run, usable []subject, sweeps []sweep) []string {
	var said []string
	for _, rule := range rules {
		if text := rule(r, usable, sweeps); text != "" {
			said = append(said, text)
		}
	}
	return said
}

// largerCache: a cache that is full and misses much.
func largerCache(r run.Run, usable []subject, sweeps []sweep) string {
	all := workingSet(r)
	for _, s := range usable {
		cache, _, _ := s.layer("cache")
		hits, ok := s.hits()
		if !ok || isSwept(s, "cache", "size", sweeps) || cache.HeldBytes == nil || cache.LimitBytes == nil || *cache.LimitBytes <= 0 {
			continue
		}
		held, limit := float64(*cache.HeldBytes), float64(*cache.LimitBytes)
		if held < fullCache*limit || hits > goodHits {
			continue
		}
		doubled := size(2 * limit)
		if all <= held {
			return fmt.Sprintf("The cache of %s is full at %s and answers %s of its loads: try cache(size=%s).",
				s.name(), size(limit), percent(hits), option(doubled))
		}
		return fmt.Sprintf("The cache of %s is full: it holds %s, about %s of the working set of %s, and answers %s of its loads. Doubling it would hold %s: try cache(size=%s).",
			s.name(), size(held), percent(held/all), size(all), percent(hits), percent(min(1, 2*held/all)), option(doubled))
	}
	return ""
}

// noCache: slow loads that nothing answers.
func noCache(r run.Run, usable []subject, _ []sweep) string {
	for _, s := range usable {
		if s.has("cache") {
			return "" // it was tried
		}
	}
	for _, s := range usable {
		if s.spec != nil && s.Loads.Count >= leastCalls && s.Loads.P50 >= slowLoad && r.Workload.IDs > 0 && s.Loads.Count > int64(r.Workload.IDs) {
			return fmt.Sprintf("Half the loads of %s take %s and more, and each entity is loaded %s times: try cache | singleflight above it.",
				s.name(), duration(s.Loads.P50), digits(float64(s.Loads.Count)/float64(r.Workload.IDs)))
		}
	}
	return ""
}

// cacheInVain: a cache that answers nothing, unless it was emptied on purpose.
func cacheInVain(r run.Run, usable []subject, sweeps []sweep) string {
	if recovery(r) {
		return ""
	}
	for _, s := range usable {
		if hits, ok := s.hits(); ok && hits < fewHits && !isSwept(s, "cache", "size", sweeps) {
			return fmt.Sprintf("The cache of %s answers %s of its loads: for this workload leave it out.", s.name(), percent(hits))
		}
	}
	return ""
}

// smallerCache: a cache that holds all there is in a part of its limit.
func smallerCache(_ run.Run, usable []subject, sweeps []sweep) string {
	for _, s := range usable {
		cache, _, _ := s.layer("cache")
		if hits, ok := s.hits(); !ok || hits < fewHits || isSwept(s, "cache", "size", sweeps) || cache.HeldBytes == nil || cache.LimitBytes == nil {
			continue
		}
		if held, limit := float64(*cache.HeldBytes), float64(*cache.LimitBytes); held > 0 && held < emptyCache*limit {
			return fmt.Sprintf("The cache of %s may hold %s and holds %s: with as many entities as here a smaller one does the same.", s.name(), size(limit), size(held))
		}
	}
	return ""
}

// zstdInVain: states that do not shrink.
func zstdInVain(_ run.Run, usable []subject, _ []sweep) string {
	for _, s := range usable {
		if left, ok := s.passedOn("zstd"); ok && left > hardlyShrunk {
			return fmt.Sprintf("zstd in %s leaves %s of the bytes: these states hardly shrink, so leave it out.", s.name(), percent(left))
		}
	}
	return ""
}

// dictionary: states too small to refer to themselves.
func dictionary(r run.Run, usable []subject, _ []sweep) string {
	mean := meanState(r)
	if mean <= 0 || mean > smallState {
		return ""
	}
	for _, s := range usable {
		if left, ok := s.passedOn("zstd"); ok && optionOf(s, "zstd", "dict") == "" {
			return fmt.Sprintf("The states are small (%s on average) and zstd in %s leaves %s of them: if they resemble each other, train a dictionary from them (-train) and try zstd(dict=...).",
				size(mean), s.name(), percent(left))
		}
	}
	return ""
}

// noZstd: nobody compresses.
func noZstd(_ run.Run, usable []subject, _ []sweep) string {
	for _, s := range usable {
		if s.has("zstd") {
			return "" // it was tried
		}
	}
	for _, s := range usable {
		if share, ok := stored.value(s.Stack); ok && s.spec != nil && !s.volatile() && !s.has("encrypt") && !s.has("delta") {
			return fmt.Sprintf("No stack compresses, and %s stores %s of the states' bytes: try zstd above the backend.", s.name(), percent(share))
		}
	}
	return ""
}

// deltaPays: when storing changes alone is worth it.
func deltaPays(r run.Run, usable []subject, _ []sweep) string {
	for _, s := range usable {
		left, ok := s.passedOn("delta")
		switch {
		case !ok:
		case left > hardlyShrunk:
			return fmt.Sprintf("delta in %s passes on %s of the bytes: states that change by %s each time are better saved whole.", s.name(), percent(left), percent(r.Workload.Change))
		case r.Workload.Change > 0 && r.Workload.Change <= muchChanged:
			return fmt.Sprintf("delta pays in %s, where a state changes by %s each time; it does so the less the more of a state changes, so measure with your own states or -change.", s.name(), percent(r.Workload.Change))
		}
	}
	return ""
}

// idleSingleflight: loads of one entity that hardly ever meet, though they may.
func idleSingleflight(r run.Run, usable []subject, _ []sweep) string {
	if recovery(r) {
		return ""
	}
	for _, s := range usable {
		if shared, ok := s.sharedLoads(); ok && shared >= fewShared {
			return ""
		}
	}
	for _, s := range usable {
		if shared, ok := s.sharedLoads(); ok {
			return fmt.Sprintf("Singleflight in %s shared %s of its loads: here loads of one entity hardly meet. See -scenario hot before leaving it out.", s.name(), percent(shared))
		}
	}
	return ""
}

// fastDisk: a disk that answers faster than the one in production may.
func fastDisk(r run.Run, usable []subject, _ []sweep) string {
	if r.Workload.SaveDelaySeconds > 0 || r.Workload.LoadDelaySeconds > 0 {
		return ""
	}
	for _, s := range usable {
		if s.spec != nil && !s.volatile() && s.Requests == nil && s.Saves.Count >= leastCalls && s.Saves.P50 > 0 && s.Saves.P50 < fastSave {
			return fmt.Sprintf("Half the saves of %s take less than %s: a disk of production may be slower, which favours zstd and the cache. Compare again with -backend-latency.", s.name(), duration(s.Saves.P50))
		}
	}
	return ""
}

// workingSet returns about how many bytes the latest states of all entities have.
func workingSet(r run.Run) float64 { return float64(r.Workload.IDs) * meanState(r) }

func meanState(r run.Run) float64 {
	if r.Workload.States.Count <= 0 {
		return 0
	}
	return float64(r.Workload.States.Bytes) / float64(r.Workload.States.Count)
}

// option writes a size as people write it in the text of a stack.
func option(size string) string { return strings.NewReplacer(" ", "", ".0 ", "").Replace(size) }

// recovery says whether every entity was loaded once, with cold caches: a cache has nothing
// to answer there, and no load meets another of the same entity.
func recovery(r run.Run) bool { return r.Workload.Scenario == "recovery" }
