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
	// beat is how often the run looks whether it runs.
	beat = 20 * time.Millisecond
	// still is how late a beat has to be to count as a standstill: a fraction of the second that Okta's retry has.
	still = 400 * time.Millisecond
)

// heart notes the times in which this machine, shared with others, did not let the run run.
type heart struct {
	timeline *fleet.Timeline

	mu     sync.Mutex
	stills []history.Standstill
}

// Run beats until ctx ends.
func (h *heart) Run(ctx context.Context) {
	last := h.timeline.Now()
	for ctx.Err() == nil {
		time.Sleep(beat)
		now := h.timeline.Now()
		if now-last > still {
			h.timeline.Note("the machine stood still for %s", now-last)
			h.mu.Lock()
			h.stills = append(h.stills, history.Standstill{From: last, Until: now})
			h.mu.Unlock()
		}
		last = now
	}
}

func (h *heart) standstills() []history.Standstill {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.stills)
}
