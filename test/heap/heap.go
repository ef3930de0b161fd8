// Package heap measures for tests how much memory values take.
package heap

import (
	"runtime"
	"testing"
)

// Taken returns the result of build, and how many bytes of the heap it takes.
func Taken[T any](build func() T) (T, int) {
	before := inUse()
	made := build()
	return made, inUse() - before
}

// inUse returns how many bytes of the heap are in use.
func inUse() int {
	runtime.GC()
	runtime.GC() // the second collection frees objects with a finalizer, and those in a sync.Pool
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// Check fails the test if the estimate of a size in bytes is less than the measured size, or more than the measured
// size multiplied by most.
func Check(t *testing.T, what string, estimate, measured int, most float64) {
	t.Helper()
	const slack = 32 << 10 // bytes, for the test itself and for the rounding of allocations
	if measured > estimate+slack {
		t.Errorf("%s takes %d bytes, said to be %d", what, measured, estimate)
	}
	if float64(estimate) > most*float64(measured)+slack {
		t.Errorf("%s takes %d bytes, said to be as many as %d", what, measured, estimate)
	}
}
