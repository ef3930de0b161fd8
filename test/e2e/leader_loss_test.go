package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
	"registrationpolicy.dev/operator/test/proxies"
)

const (
	// callersAtOnce is the number of connections from Okta.
	callersAtOnce = 8
	// betweenCalls is the pause between two calls on one connection.
	betweenCalls = 3 * time.Millisecond
	// endpointsLag is the time from when a replica ends or becomes unready until the proxy gets the change.
	endpointsLag = 500 * time.Millisecond
)

// traffic has the results of several callers that call through a proxy. Half of their calls must be denied.
type traffic struct {
	mu       sync.Mutex
	answered int
	repeated int
	faults   []string

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// startTraffic makes calls until stop. As Okta does, it repeats a call once.
func startTraffic(t *testing.T, proxy *proxies.Proxy) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &traffic{cancel: cancel}
	t.Cleanup(func() {
		cancel()
		f.ended.Wait()
	})
	for i := range callersAtOnce {
		hook, err := oktasim.New(oktasim.Options{URL: proxy.URL(), Credential: credential, RootCAs: proxy.CAs()})
		if err != nil {
			t.Fatal(err)
		}
		person, want := "jo@acme.com", oktasim.Registered
		if i%2 == 1 {
			person, want = "jo@elsewhere.example", oktasim.Denied
		}
		f.ended.Go(func() {
			defer hook.Close()
			for ctx.Err() == nil {
				result, err := hook.Register(context.WithoutCancel(ctx), oktasim.Registration{Email: person}) // completes a pending call
				if err == nil {
					f.add(result, want)
				}
				time.Sleep(betweenCalls)
			}
		})
	}
	return f
}

func (f *traffic) add(result oktasim.Result, want oktasim.Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered++
	if result.Attempts > 1 {
		f.repeated++
	}
	last := slices.ContainsFunc(result.Faults, func(fault oktasim.Fault) bool { return !fault.Earlier })
	if result.Outcome != want || result.Status != http.StatusOK || last {
		f.faults = append(f.faults, fmt.Sprintf("%s: %d, %s, want %s: %q",
			time.Now().Format("05.000"), result.Status, result.Outcome, want, result.Faults))
	}
}

// await waits until more calls have been made.
func (f *traffic) await(t *testing.T, more int) {
	t.Helper()
	made := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.answered
	}
	want := made() + more
	fixture.Await(t, "more calls", func() bool { return made() >= want })
}

// stop ends the calls, and fails the test for each that was lost or answered wrongly.
func (f *traffic) stop(t *testing.T) {
	t.Helper()
	f.cancel()
	f.ended.Wait()
	for _, fault := range f.faults {
		t.Error(fault)
	}
	t.Logf("%d calls, %d of them repeated, %d lost or wrongly answered", f.answered, f.repeated, len(f.faults))
}

func (op *operator) hookAddress() string {
	address, _, _ := strings.Cut(strings.TrimPrefix(op.hookURL, "http://"), "/")
	return address
}

func addressesOf(replicas []*operator) []string {
	var addresses []string
	for _, op := range replicas {
		addresses = append(addresses, op.hookAddress())
	}
	return addresses
}

// leaderOf waits until a replica leads, and returns it.
func leaderOf(t *testing.T, replicas []*operator) *operator {
	t.Helper()
	var leader *operator
	fixture.Await(t, "a leader", func() bool {
		for _, op := range replicas {
			if op.metric(t, "registration_policy_leader") == "1" {
				leader = op
			}
		}
		return leader != nil
	})
	return leader
}

// If the leader is killed or evicted, no call is lost. A policy that is applied while there is no leader comes into
// force, and the next leader writes its status.
func TestTheLossOfTheLeaderCostsNoCallAndNoPolicyWaitsForTheNext(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	var replicas []*operator
	for range 3 {
		replicas = append(replicas, startReady(t, append(c.inCluster(t), "--drain-delay", "3s")...))
	}
	proxy := proxies.Start(t, proxies.HAProxy, proxies.Options{Backends: addressesOf(replicas), Repeats: true})
	calls := startTraffic(t, proxy)
	calls.await(t, 10*callersAtOnce)

	for name, lose := range map[string]func(leader *operator){
		"killed": func(leader *operator) {
			if err := leader.stop(t, syscall.SIGKILL); err == nil {
				t.Error("a killed process ended without an error")
			}
		},
		"evicted": func(leader *operator) {
			if err := leader.process.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			fixture.Await(t, "unready after SIGTERM", func() bool {
				return leader.status(t, leader.probeURL+"/readyz") == http.StatusServiceUnavailable
			})
		},
	} {
		leader := leaderOf(t, replicas)
		lose(leader)
		replicas = slices.DeleteFunc(replicas, func(op *operator) bool { return op == leader })
		c.apply(t, name, `{allow: {domains: [`+name+`.example]}}`)
		for _, op := range replicas {
			op.awaitAnswer(t, "jo@"+name+".example", allowed)
		}
		time.Sleep(endpointsLag)
		proxy.SetBackends(t, addressesOf(replicas)...)
		fixture.Await(t, "the end of the leader that was "+name, leader.ended)

		replicas = append(replicas, startReady(t, append(c.inCluster(t), "--drain-delay", "3s")...))
		proxy.SetBackends(t, addressesOf(replicas)...)
		leaderOf(t, replicas)
		if got := c.condition(t, name); got.Reason != "Accepted" {
			t.Errorf("%s: status by the next leader: %s", name, got.Reason)
		}
		calls.await(t, 10*callersAtOnce)
	}
	calls.stop(t)
}
