// Package run is a finished run of command bench as data: what it prints with -json,
// keeps with -save and compares with -compare, and what its table, its report and its
// advice are made from.
//
// # Format
//
// A file holds one Run as one JSON object. Durations are in seconds, sizes in bytes,
// money in US dollars, moments in RFC 3339; what does not apply is null or absent. Fields
// may be added; whatever else changes raises Format.
package run

import (
	"math"
	"time"

	"github.com/snapstack/snapstack/bench/ratio"
)

// Format is the version of the format that this package writes.
const Format = 1

// A Run is one run of bench.
type Run struct {
	Format      int       `json:"format"`
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"` // that all of it took, with opening, warm-up and deleting
	Interrupted bool      `json:"interrupted"`
	Machine     Machine   `json:"machine"`
	Workload    Workload  `json:"workload"`
	Prices      Prices    `json:"prices"`
	Stacks      []Stack   `json:"stacks"` // ratios are to the first
}

// Machine is where a run took place.
type Machine struct {
	Go   string `json:"go"` // version
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"` // that Go used at once
}

// Workload is what was asked for.
type Workload struct {
	Scenario         string  `json:"scenario"` // its name, as "hot"
	Meaning          string  `json:"meaning"`  // one line
	IDs              int     `json:"ids"`
	Reads            float64 `json:"reads"`              // share of operations that load, 0 to 1
	Skew             float64 `json:"skew"`               // exponent of the zipf distribution; 0 where ids are chosen evenly or not at all
	Change           float64 `json:"change"`             // share of a state that the next one of its id changes, 0 to 1
	Concurrency      int     `json:"concurrency"`        // operations in flight
	Rate             float64 `json:"rate"`               // operations a second of the open loop; 0 for the closed loop
	DurationSeconds  float64 `json:"duration_seconds"`   // measured time of each stack, all rounds together
	WarmupSeconds    float64 `json:"warmup_seconds"`     // of each stack
	Rounds           int     `json:"rounds"`             // of each stack
	LoadDelaySeconds float64 `json:"load_delay_seconds"` // added to each load of the backend on purpose
	SaveDelaySeconds float64 `json:"save_delay_seconds"` // and to each save
	Seed             uint64  `json:"seed"`
	States           States  `json:"states"`
}

// States are the states that were saved.
type States struct {
	Generated bool  `json:"generated"`
	Count     int   `json:"count"`
	Bytes     int64 `json:"bytes"` // of all together
	MinBytes  int64 `json:"min_bytes"`
	MaxBytes  int64 `json:"max_bytes"`
}

// Prices is a price list of an object store.
type Prices struct {
	Name    string  `json:"name"`    // whose, and of when
	Put     float64 `json:"put"`     // of 1000 PUT or LIST requests
	Get     float64 `json:"get"`     // of 1000 GET requests
	Storage float64 `json:"storage"` // of 1 GB (2^30 bytes) kept for a month
}

// A Stack is what was measured of one stack.
type Stack struct {
	Text string `json:"text"` // its text form or, of a store that is not written so, its name

	OpsPerSecond float64  `json:"ops_per_second"` // 0 where nothing was measured
	Ratio        *float64 `json:"ratio"`          // of it to the first stack's: the median of the rounds
	Spread       *float64 `json:"spread"`         // the share by which a round was from Ratio at most, up or down
	Rounds       []Round  `json:"rounds"`

	Loads  Latency `json:"loads"`
	Saves  Latency `json:"saves"`
	Layers []Layer `json:"layers"` // outermost first, the backend last

	Timeline []Bin `json:"timeline"` // of the measured time, rounds one after the other

	CPUSeconds float64   `json:"cpu_seconds"` // of the process, user and system, while measuring, with bench's own checks
	Allocs     float64   `json:"allocs"`      // heap allocations per operation, with bench's own
	AllocBytes float64   `json:"alloc_bytes"` // heap bytes allocated per operation, with bench's own
	PeakBytes  int64     `json:"peak_bytes"`  // the most that the heap grew by while measuring, over what it held before the stack was opened
	Requests   *Requests `json:"requests"`    // to the object store; null where there is none

	StoredBytes *int64 `json:"stored_bytes"` // that the backend held at the end; null where it can't list
	StateBytes  *int64 `json:"state_bytes"`  // the lengths of the same states as they were saved

	Stale    int64    `json:"stale"` // reads older than what had been saved before they began
	Wrong    int64    `json:"wrong"` // reads of other bytes than were saved
	Errors   int64    `json:"errors"`
	Problems []string `json:"problems"` // what went wrong, a line each
}

// Against returns Ratio and Spread; ok is false where there are none.
func (s *Stack) Against() (r ratio.Ratio, ok bool) {
	if s.Ratio == nil || s.Spread == nil {
		return ratio.Ratio{}, false
	}
	r = ratio.Ratio{Median: *s.Ratio, Spread: *s.Spread}
	low, high := r.Within()
	return r, low > 0 && r.Spread >= 0 && !math.IsInf(high, 0) // a file may hold anything
}

// A Round is one turn of a stack. Round i of one stack ran next to round i of another.
type Round struct {
	Seconds      float64 `json:"seconds"`
	OpsPerSecond float64 `json:"ops_per_second"`
	CPUSeconds   float64 `json:"cpu_seconds"`
}

// Latency is how long the operations of one kind took that succeeded, in seconds. In an
// open loop they count from when they were due.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`

	// Curve is the latency over the percentile, rising, from the fastest to the slowest
	// operation, so dense that a plot needs no more: up to a few hundred points.
	Curve []Point `json:"curve"`
}

// A Point of a latency curve: Percentile (0 to 100) of the operations took Seconds at
// most.
type Point struct {
	Percentile float64 `json:"percentile"`
	Seconds    float64 `json:"seconds"`
}

// A Layer is what one layer of a stack did while measuring. Calls and bytes are those
// that came to it from above; what it let through is what the next layer has. Bytes are
// of states: of saves those given, of loads those returned.
type Layer struct {
	Name       string `json:"name"` // as "cache"
	Text       string `json:"text"` // with its options, as "cache(size=64MiB)"
	Loads      int64  `json:"loads"`
	Saves      int64  `json:"saves"`
	LoadBytes  int64  `json:"load_bytes"`
	SaveBytes  int64  `json:"save_bytes"`
	Hits       *int64 `json:"hits"`        // loads that a cache answered by itself
	Shared     *int64 `json:"shared"`      // loads that joined another one's
	HeldBytes  *int64 `json:"held_bytes"`  // that a cache held at the end
	LimitBytes *int64 `json:"limit_bytes"` // that it may hold
	Commits    *int64 `json:"commits"`     // transactions of a database
}

// Requests are the requests that an object store got while measuring.
type Requests struct {
	List   int64 `json:"list"`
	Get    int64 `json:"get"`
	Put    int64 `json:"put"`
	Delete int64 `json:"delete"` // requests, not keys; free of charge
	// Dollars is what a million operations of this run cost at its Prices, in requests.
	Dollars float64 `json:"dollars"`
}

// A Bin is a stretch of the timeline.
type Bin struct {
	Seconds    float64 `json:"seconds"` // since measuring began, at its end
	Round      int     `json:"round"`   // from 1
	Operations int64   `json:"operations"`
	Length     float64 `json:"length"` // of the stretch, in seconds
}
