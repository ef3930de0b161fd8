package cost

import (
	"strings"
	"testing"
)

// sink makes values escape to the heap.
var sink *[32]byte

// An operation that makes one allocation more than before is found, however busy the machine is.
func TestAPlantedAllocationIsFound(t *testing.T) {
	within := Operation{Name: "within", Allocations: 3, Run: func() {
		for range 3 {
			sink = new([32]byte)
		}
	}}
	if excess := within.excess(); excess != "" {
		t.Errorf("an operation within its limit: %s", excess)
	}
	planted := within
	planted.Run = func() {
		within.Run()
		sink = new([32]byte)
	}
	if excess := planted.excess(); !strings.HasPrefix(excess, "4 allocations, 3 allowed") {
		t.Errorf("an operation with one allocation more: %q", excess)
	}
}

// The count is either refused by the machine, or grows with the work.
func TestInstructionsGrowWithTheWork(t *testing.T) {
	count := func(steps int) (int64, bool) {
		counted := countInstructions()
		defer counted.close()
		for i := range steps {
			sink = &[32]byte{byte(i)}
		}
		return counted.read()
	}
	little, ok := count(1_000)
	if !ok {
		t.Skip("this machine does not count instructions")
	}
	if much, _ := count(100_000); much < 10*little {
		t.Errorf("%d instructions for a hundred times the work of %d", much, little)
	}
}
