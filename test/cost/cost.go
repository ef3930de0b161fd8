// Package cost measures operations: as benchmarks, and as a gate that limits their allocations. Unlike times, the numbers
// of allocations and instructions are the same on a busy machine. It is for tests.
package cost

import (
	"fmt"
	"testing"
)

// Operation is something that the program does for each call.
type Operation struct {
	// Name is the name of the benchmark, and of the row in docs/contributing/performance.md.
	Name string
	// Allocations is the limit of Check: the most allocations that one run may make.
	Allocations int
	// Run runs the operation once.
	Run func()
}

// Benchmark measures each operation: its time, its allocations and, if the machine counts them, its instructions.
func Benchmark(b *testing.B, operations []Operation) {
	b.Helper()
	for _, operation := range operations {
		b.Run(operation.Name, func(b *testing.B) {
			b.ReportAllocs()
			operation.Run() // fills pools and caches
			counted := countInstructions()
			defer counted.close()
			for b.Loop() {
				operation.Run()
			}
			if instructions, ok := counted.read(); ok {
				b.ReportMetric(float64(instructions)/float64(b.N), "instructions/op")
			}
		})
	}
}

// Check fails the test if an operation makes more allocations than its limit.
func Check(t *testing.T, operations []Operation) {
	t.Helper()
	if raceDetector {
		t.Skip("the race detector changes what is allocated; make test also runs this test without it")
	}
	for _, operation := range operations {
		t.Run(operation.Name, func(t *testing.T) {
			if excess := operation.excess(); excess != "" {
				t.Error(excess)
			}
		})
	}
}

// excess returns what is wrong with the allocations of an operation; "" if they are within the limit.
func (o Operation) excess() string {
	const runs = 200 // so that a pool that the garbage collector empties does not change the mean
	if made := int(testing.AllocsPerRun(runs, o.Run)); made > o.Allocations {
		return fmt.Sprintf("%d allocations, %d allowed: remove the new ones; or, if they are worth it, raise the limit and say why", made, o.Allocations)
	}
	return ""
}
