// Package heap measures what values take in memory. It is for tests.
package heap

import (
	"runtime"
	"testing"
)

// Taken returns what build makes, and how many bytes of the heap that takes.
func Taken[T any](build func() T) (T, int) {
	before := inUse()
	made := build()
	return made, inUse() - before
}

// inUse returns how many bytes of the heap are in use.
func inUse() int {
	runtime.GC()
	runtime.GC() // the second frees what had a finalizer or was in a pool
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// Check fails the test if something takes more bytes than estimated, or if the estimate is more than most times what it
// takes.
func Check(t *testing.T, what string, estimate, measured int, most float64) {
	t.Helper()
	const slack = 32 << 10 // for the test itself, and for the rounding of allocations
	if measured > estimate+slack {
		t.Errorf("%s takes %d bytes, said to be %d", what, measured, estimate)
	}
	if float64(estimate) > most*float64(measured)+slack {
		t.Errorf("%s takes %d bytes, said to be as many as %d", what, measured, estimate)
	}
}
