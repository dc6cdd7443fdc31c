package workload

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/snapstack/snapstack/bench/ratio"
	"github.com/snapstack/snapstack/objectstore"
)

// A Result is what was measured of one store.
type Result struct {
	Name string // of the Target

	// Elapsed is the time that all rounds of the store took together: a round ends
	// when the operations in flight have. It is 0 where nothing was measured, because
	// of Err or because ctx ended first.
	Elapsed time.Duration

	// Rounds are the rounds that were measured, in their order. Round i of one store ran
	// next to round i of another, and what disturbed the machine disturbed both.
	Rounds []Round

	// Loads and Saves are the latencies of the operations that succeeded, in
	// nanoseconds up to one hour, with three significant digits.
	Loads, Saves *hdrhistogram.Histogram

	// Layers are those of the store, outermost first.
	Layers []LayerUse

	// Requests are those to the bucket of an objectstore; nil where there is none.
	Requests *objectstore.Stats

	// Timeline is how many operations ended when, all rounds one after the other.
	Timeline []Bin

	// What the process took of the machine while the store was measured, with what bench
	// itself takes, which is the same for every store: time of processors, 0 where the
	// system doesn't tell; and heap objects and bytes allocated.
	CPU        time.Duration
	Allocs     uint64
	AllocBytes uint64

	// PeakBytes is the most by which the heap was larger, while the store was measured,
	// than it would have been without the store, as far as the states of the heap before
	// and after each of its turns tell.
	PeakBytes int64

	Stored *Stored // nil where the store can't list, or listing failed

	// Stale counts the reads that returned an older snapshot than was acknowledged
	// before they began, or none; Wrong those that returned other bytes than were
	// saved, or what was never saved, or was deleted. Both are of all reads, measured or
	// not, and are 0 for a store that keeps the contract.
	Stale, Wrong int64
	FirstBad     *BadRead // the first stale or wrong read; nil where there was none

	Errors   int64 // operations that failed, other than by the end of ctx
	FirstErr error // the first of them

	Err    error // why the store could not be measured: opening it or saving the first snapshots failed
	EndErr error // what failed afterwards: listing, deleting what the run had saved, closing
}

// A Round is one turn of a store.
type Round struct {
	Elapsed    time.Duration
	Operations int64 // of both kinds that succeeded
	CPU        time.Duration
}

// A Bin is a stretch of time in a round.
type Bin struct {
	Round      int           // from 1
	End        time.Duration // since measuring began, the time between rounds not counted
	Length     time.Duration
	Operations int64 // that ended in it
}

// OpsPerSecond returns how many operations of both kinds succeeded in a second.
func (r Round) OpsPerSecond() float64 { return float64(r.Operations) / r.Elapsed.Seconds() }

// Stored is what a store holds of the run at its end.
type Stored struct {
	StoredBytes int64 // as List tells
	StateBytes  int64 // the lengths of the same states as they were saved
}

// OpsPerSecond returns how many operations of both kinds succeeded in a second;
// 0 where nothing was measured.
func (r *Result) OpsPerSecond() float64 {
	if r.Elapsed == 0 {
		return 0
	}
	return float64(r.Loads.TotalCount()+r.Saves.TotalCount()) / r.Elapsed.Seconds()
}

// Against compares the operations per second with those of another store in the same
// rounds. Ok is false where there is no round of both.
func (r *Result) Against(other *Result) (against ratio.Ratio, ok bool) {
	var rounds []float64
	for i := range min(len(r.Rounds), len(other.Rounds)) {
		rounds = append(rounds, r.Rounds[i].OpsPerSecond()/other.Rounds[i].OpsPerSecond())
	}
	return ratio.Of(rounds)
}

// A BadRead is a load that broke the contract.
type BadRead struct {
	PersistenceID string
	Acknowledged  uint64 // the highest number whose save had returned before the load began
	Attempted     uint64 // the highest number whose save had begun when the load returned
	SequenceNr    uint64 // what the load returned; 0 where it found nothing
	Stale         bool   // older than acknowledged, or nothing; false where it was wrong
	Problem       string // what was wrong, as "found nothing, but number 3 was saved before the load began"
}

// String returns one line, naming the entity.
func (b *BadRead) String() string {
	return fmt.Sprintf("load latest of %q %s", b.PersistenceID, b.Problem)
}
