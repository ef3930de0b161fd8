package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
)

const (
	// stallInterval is the interval at which stallDetector checks that this process runs.
	stallInterval = 20 * time.Millisecond
	// A delay of more than stallThreshold counts as a stall. It is less than half of the one second that Okta has left
	// for its retry, so that a shorter delay cannot make an answer late.
	stallThreshold = 400 * time.Millisecond
)

// stallDetector records the periods in which a busy machine gave this process no CPU time. Late answers in them are no
// fault of the operator.
type stallDetector struct {
	timeline *fleet.Timeline

	mu    sync.Mutex
	found []history.Stall
}

// Run detects stalls until ctx ends.
func (h *stallDetector) Run(ctx context.Context) {
	last := h.timeline.Now()
	for ctx.Err() == nil {
		time.Sleep(stallInterval)
		now := h.timeline.Now()
		if now-last > stallThreshold {
			h.timeline.Note("the machine stalled for %s", now-last)
			h.mu.Lock()
			h.found = append(h.found, history.Stall{From: last, Until: now})
			h.mu.Unlock()
		}
		last = now
	}
}

func (h *stallDetector) stalls() []history.Stall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.found)
}
