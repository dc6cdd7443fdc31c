package workload

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLatency is the longest latency that is told apart; a longer one counts as
// this.
const maxLatency = time.Hour

// A recorder holds the latencies that one worker measures in one round. It is
// reused, as its two histograms take half a megabyte.
type recorder struct {
	loads, saves *hdrhistogram.Histogram
}

func newRecorder() *recorder {
	return &recorder{loads: newHistogram(), saves: newHistogram()}
}

// moveTo adds what was recorded to the histograms of a result and forgets it.
func (r *recorder) moveTo(result *Result) {
	result.Loads.Merge(r.loads) // drops nothing: the ranges are the same
	result.Saves.Merge(r.saves)
	r.loads.Reset()
	r.saves.Reset()
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(maxLatency), 3)
}

func record(h *hdrhistogram.Histogram, took time.Duration) {
	took = max(1, min(took, maxLatency))
	if err := h.RecordValue(int64(took)); err != nil {
		panic(err) // can't be: the value is in range
	}
}
