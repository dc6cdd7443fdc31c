package workload

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLatency is the longest latency that is told apart; a longer one counts as
// this.
const maxLatency = time.Hour

// A recorder holds what one worker measures in one round. It is reused, as its two
// histograms take half a megabyte.
type recorder struct {
	loads, saves         *hdrhistogram.Histogram
	loadBytes, saveBytes int64

	// bins count the operations that ended in each stretch of binLength since begin.
	begin     time.Time
	binLength time.Duration
	bins      []int64
}

func newRecorder() *recorder {
	return &recorder{loads: newHistogram(), saves: newHistogram()}
}

// start forgets everything, for a round that begins.
func (r *recorder) start(begin time.Time, binLength time.Duration) {
	r.loads.Reset()
	r.saves.Reset()
	r.loadBytes, r.saveBytes = 0, 0
	r.begin, r.binLength = begin, binLength
	r.bins = r.bins[:0]
}

// load records a load that returned that many bytes, took so long and ended then.
func (r *recorder) load(bytes int, took time.Duration, end time.Time) {
	record(r.loads, took)
	r.loadBytes += int64(bytes)
	r.count(end)
}

// save records a save of that many bytes.
func (r *recorder) save(bytes int, took time.Duration, end time.Time) {
	record(r.saves, took)
	r.saveBytes += int64(bytes)
	r.count(end)
}

func (r *recorder) count(end time.Time) {
	bin := int(max(end.Sub(r.begin), 0) / r.binLength)
	for len(r.bins) <= min(bin, maxBins-1) {
		r.bins = append(r.bins, 0)
	}
	r.bins[min(bin, maxBins-1)]++
}

// maxBins bounds the memory of a round that takes longer than it was to.
const maxBins = 10_000

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(maxLatency), 3)
}

func record(h *hdrhistogram.Histogram, took time.Duration) {
	took = max(1, min(took, maxLatency))
	if err := h.RecordValue(int64(took)); err != nil {
		panic(err) // can't be: the value is in range
	}
}
