package workload

import (
	"runtime/metrics"
	"time"
)

// resources are what the process had used of the machine at one moment.
type resources struct {
	cpu         time.Duration // user and system; 0 where the system doesn't tell
	allocs      uint64        // heap objects
	allocBytes  uint64
	objectBytes uint64 // on the heap, garbage included
}

const (
	metricAllocs      = "/gc/heap/allocs:objects"
	metricAllocBytes  = "/gc/heap/allocs:bytes"
	metricObjectBytes = "/memory/classes/heap/objects:bytes"
)

func resourcesNow() resources {
	samples := []metrics.Sample{{Name: metricAllocs}, {Name: metricAllocBytes}, {Name: metricObjectBytes}}
	metrics.Read(samples)
	return resources{
		cpu:         processCPU(),
		allocs:      samples[0].Value.Uint64(),
		allocBytes:  samples[1].Value.Uint64(),
		objectBytes: samples[2].Value.Uint64(),
	}
}

// A heapWatch looks for the most bytes that the heap has.
type heapWatch struct {
	stop chan struct{}
	most chan uint64
}

// watchHeap looks now and then until end is called.
func watchHeap() *heapWatch {
	w := &heapWatch{stop: make(chan struct{}), most: make(chan uint64, 1)}
	go func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		samples := []metrics.Sample{{Name: metricObjectBytes}}
		var most uint64
		for {
			metrics.Read(samples)
			most = max(most, samples[0].Value.Uint64())
			select {
			case <-ticker.C:
			case <-w.stop:
				w.most <- most
				return
			}
		}
	}()
	return w
}

// end returns the most that was seen.
func (w *heapWatch) end() uint64 {
	close(w.stop)
	return <-w.most
}
