//go:build unix

package workload

import (
	"syscall"
	"time"
)

// processCPU returns the time that the process has taken of the processors.
func processCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // not told
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
