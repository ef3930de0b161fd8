package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
)

const (
	// oktaTime is what Okta gives a registration, its own retry included.
	oktaTime = 3 * time.Second
	// oktaSlots is how many calls an org makes at once at most.
	oktaSlots = 75
	// digestHeader names the rules of an answer.
	digestHeader = "X-Registration-Policy-Digest"
	// replicaHeader is written by the proxy of a run.
	replicaHeader = "X-Replica"
)

// kinds are the calls that are made, and calls the same as a decision sees them.
var kinds, kindCalls = makeKinds()

func makeKinds() (made []oktasim.Registration, calls []rules.Call) {
	for _, source := range sources() {
		for _, domain := range append([]string{"elsewhere.example"}, domains...) {
			for _, person := range people {
				address := person + "@" + domain
				made = append(made,
					oktasim.Registration{Source: source, Email: address},
					oktasim.Registration{Source: source, Shape: oktasim.ClassicSignUp, Email: address, Login: person},
					oktasim.Registration{
						Source: source, Shape: oktasim.ProgressiveProfile, Login: "jo@alpha.example",
						Update: map[string]any{"email": address},
					})
			}
		}
		made = append(made,
			oktasim.Registration{Source: source, Email: "jo@alpha.example", Login: "jo@beta.example"},
			oktasim.Registration{Source: source, Email: "not an address"},
			oktasim.Registration{Source: source, Shape: oktasim.ProgressiveProfile, Update: map[string]any{"city": "Bern"}})
	}
	nobody, _ := rules.Compile(nil)
	options := hookserver.Options{}
	for _, kind := range made {
		call, err := kind.Call()
		if err != nil {
			panic(err) // made up above
		}
		request, err := okta.Decode(call.Body, hookserver.DefaultAddressAttributes())
		if err != nil {
			panic(err)
		}
		rehearsed, err := hookserver.DryRun(&request, nobody, "", options)
		if err != nil {
			panic(err)
		}
		calls = append(calls, rehearsed.Call)
	}
	return made, calls
}

// deciderOf returns what rules say to each kind of call, each decided once.
func deciderOf(policies []*rules.Compiled) func(kind int) history.Answer {
	var snapshot *rules.Snapshot
	decided := make([]*history.Answer, len(kindCalls))
	return func(kind int) history.Answer {
		if decided[kind] == nil {
			if snapshot == nil {
				snapshot = rules.Assemble(nil, policies)
			}
			decision := snapshot.Decide(kindCalls[kind])
			decided[kind] = &history.Answer{Allow: decision.Outcome == rules.Allow, Reason: string(decision.Reason)}
		}
		return *decided[kind]
	}
}

// inScope returns which kinds of calls are in the scope of a namespace; nil means all.
func inScope(scope []string) func(kind int) bool {
	return func(kind int) bool { return scope == nil || slices.Contains(scope, kinds[kind].Source) }
}

// Okta calls the hook without end, at a steady rate, and keeps what came of it.
type Okta struct {
	hook     *oktasim.Hook
	timeline *fleet.Timeline
	rate     int

	mu      sync.Mutex
	calls   []history.Call
	names   map[string]string // each text once
	retried int
	behind  time.Duration
}

func newOkta(url string, timeline *fleet.Timeline, rate int) (*Okta, error) {
	hook, err := oktasim.New(oktasim.Options{URL: url, Credential: credential, Timeout: oktaTime})
	if err != nil {
		return nil, err
	}
	return &Okta{hook: hook, timeline: timeline, rate: rate, names: map[string]string{}}, nil
}

// Run calls until ctx ends, and waits for the answers.
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
	kind := rand.IntN(len(kinds))
	registration := kinds[kind]
	registration.RequestID = fmt.Sprintf("req%016x", rand.Uint64())
	begin := o.timeline.Now()
	result, err := o.hook.Register(ctx, registration)
	end := o.timeline.Now()
	call := history.Call{
		// On a busy machine, time passes between the lines of this function too: a call is taken to be sent no later than it was, and
		// answered no earlier.
		ID: registration.RequestID, Kind: kind, Begin: begin, LastBegin: begin + result.Latency - result.LastLatency, End: end,
		Attempts: result.Attempts, Answered: err == nil && result.Outcome != oktasim.Failed,
		Answer: history.Answer{Allow: result.Outcome == oktasim.Registered}, Pod: result.Header.Get(replicaHeader),
	}
	var debug struct{ Reason, Digest string }
	if result.DebugContext != "" {
		err = json.Unmarshal([]byte(result.DebugContext), &debug)
	}
	if err != nil {
		call.Trouble = err.Error()
	}
	for _, fault := range result.Faults {
		call.Trouble += fault.Text + "; "
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
