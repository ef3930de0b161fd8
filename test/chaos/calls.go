package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
	"registrationpolicy.dev/operator/test/chaos/policies"
)

const (
	// oktaTimeout is the time that Okta gives a registration, including its retry.
	oktaTimeout = 3 * time.Second
	// oktaSlots is the maximum number of concurrent inline hook calls of an Okta org.
	oktaSlots = 75
	// digestHeader is the header of an answer with the digest of the rules that decided it.
	digestHeader = "X-Registration-Policy-Digest"
	// replicaHeader is the header of an answer in which the proxy writes the replica's address.
	replicaHeader = "X-Replica"
)

// Okta simulates Okta: it calls the hook at a steady rate, and records the results.
type Okta struct {
	hook     *oktasim.Hook
	timeline *fleet.Timeline
	rate     int

	mu      sync.Mutex
	calls   []history.Call
	names   map[string]string // interns repeated texts, to save memory
	retried int
	behind  time.Duration // the longest delay of a call behind its schedule
}

func newOkta(url string, timeline *fleet.Timeline, rate int) (*Okta, error) {
	hook, err := oktasim.New(oktasim.Options{URL: url, Credential: credential, Timeout: oktaTimeout})
	if err != nil {
		return nil, err
	}
	return &Okta{hook: hook, timeline: timeline, rate: rate, names: map[string]string{}}, nil
}

// Run makes calls until ctx ends, and then waits for the pending answers.
func (o *Okta) Run(ctx context.Context) {
	due := make(chan time.Time)
	var slots sync.WaitGroup
	for range oktaSlots {
		slots.Go(func() {
			for range due {
				o.register(context.WithoutCancel(ctx))
			}
		})
	}
	begin := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		at := begin.Add(time.Duration(i) * time.Second / time.Duration(o.rate))
		time.Sleep(time.Until(at))
		due <- at
		o.behind = max(o.behind, time.Since(at))
	}
	close(due)
	slots.Wait()
	o.hook.Close()
}

func (o *Okta) register(ctx context.Context) {
	kind := rand.IntN(len(policies.Kinds))
	registration := policies.Kinds[kind]
	registration.RequestID = fmt.Sprintf("req%016x", rand.Uint64())
	begin := o.timeline.Now()
	result, err := o.hook.Register(ctx, registration)
	end := o.timeline.Now()
	call := history.Call{
		// This function may be delayed on a busy machine, so both times are bounds: the call was sent at LastBegin or
		// later, and answered at End or earlier.
		ID: registration.RequestID, Kind: kind, Begin: begin, LastBegin: begin + result.Latency - result.LastLatency, End: end,
		Attempts: result.Attempts, Answered: err == nil && result.Outcome != oktasim.Failed,
		Answer: history.Answer{Allow: result.Outcome == oktasim.Registered}, Pod: result.Header.Get(replicaHeader),
	}
	var debug struct{ Reason, Digest string }
	if result.DebugContext != "" {
		err = json.Unmarshal([]byte(result.DebugContext), &debug)
	}
	if err != nil {
		call.Faults = err.Error()
	}
	for _, fault := range result.Faults {
		call.Faults += fault.Text + "; "
		call.Unusual = call.Unusual || !fault.Earlier
	}
	call.Unusual = call.Unusual || result.ByDefault || err != nil
	call.Reason, call.Digest, call.HeaderDigest = debug.Reason, debug.Digest, result.Header.Get(digestHeader)

	o.mu.Lock()
	defer o.mu.Unlock()
	for _, text := range []*string{&call.Reason, &call.Digest, &call.HeaderDigest, &call.Pod} {
		known, found := o.names[*text]
		if !found {
			known = *text
			o.names[known] = known
		}
		*text = known
	}
	if call.Attempts > 1 {
		o.retried++
	}
	o.calls = append(o.calls, call)
}
