//go:build !race

// Under the race detector, sync.Pool drops elements at random.

package hookserver

import (
	"net/http"
	"testing"
)

const (
	// maxAllocations is how often a usual call may allocate, from its header to the last byte of its answer and its log
	// line. net/http's own allocations are not counted. The garbage collector takes more of a call's time with each.
	maxAllocations = 10
	allocationRuns = 2000
)

var usualCalls = map[string]string{"allowed": "jo@company-0000.example.com", "not allowed": "jo@mail.elsewhere.example.org"}

func TestAUsualCallAllocatesLittle(t *testing.T) {
	for sentence, address := range usualCalls {
		t.Run(sentence, func(t *testing.T) {
			call := newBenchedCall(t, address)
			if got := testing.AllocsPerRun(allocationRuns, call.make); got > maxAllocations {
				t.Errorf("%v allocations, want at most %d", got, maxAllocations)
			}
			if call.status != http.StatusOK {
				t.Errorf("status %d", call.status)
			}
		})
	}
}

// TestOneMoreAllocationIsFound plants one into the call.
func TestOneMoreAllocationIsFound(t *testing.T) {
	var planted *[64]byte
	for sentence, address := range usualCalls {
		t.Run(sentence, func(t *testing.T) {
			call := newBenchedCall(t, address)
			call.server.options.Fenced = func() bool {
				planted = new([64]byte)
				return planted[0] != 0
			}
			if got := testing.AllocsPerRun(allocationRuns, call.make); got <= maxAllocations {
				t.Errorf("%v allocations with the planted one: lower maxAllocations to %v", got, got-1)
			}
		})
	}
}
