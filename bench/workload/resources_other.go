//go:build !unix

package workload

import "time"

// processCPU returns 0: the system is not asked.
func processCPU() time.Duration { return 0 }
