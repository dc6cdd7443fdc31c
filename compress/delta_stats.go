package compress

import "sync/atomic"

// DeltaStats is what a Delta has done since it was made.
type DeltaStats struct {
	Whole       int64 // snapshots stored whole
	Differences int64 // snapshots stored as a difference from a base
	Bases       int64 // bases stored

	StateBytes  int64 // of the states saved
	StoredBytes int64 // given to the inner store for them, bases included

	// Bases that were at hand when one was needed, for a load, a view or a Save, and those that
	// had to be loaded.
	BaseHits, BaseLoads int64
}

type deltaCounters struct {
	whole, differences, bases, stateBytes, storedBytes, baseHits, baseLoads atomic.Int64
}

// Stats returns what the Delta has done. It may be called concurrently, and counts one
// after the other.
func (d *Delta) Stats() DeltaStats {
	return DeltaStats{
		Whole:       d.stats.whole.Load(),
		Differences: d.stats.differences.Load(),
		Bases:       d.stats.bases.Load(),
		StateBytes:  d.stats.stateBytes.Load(),
		StoredBytes: d.stats.storedBytes.Load(),
		BaseHits:    d.stats.baseHits.Load(),
		BaseLoads:   d.stats.baseLoads.Load(),
	}
}
