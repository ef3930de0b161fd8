package proxies

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
)

const (
	// callers is the number of concurrent connections from Okta.
	callers = 8
	// callPause is the pause between two calls of a caller. It is so long that a proxy sees its connections to the
	// replicas as idle.
	callPause = 3 * time.Millisecond
	// endpointsLag is the time from when a replica becomes unready until the proxy gets the change. In a cluster,
	// kubelet, EndpointSlice controller and Ingress controller together take about a second.
	endpointsLag = 200 * time.Millisecond
	// drainDelay is the --drain-delay of the replicas. It is longer than endpointsLag, as the default is longer than
	// the time in a cluster.
	drainDelay = "3s"
)

// load has the results of several callers, each of which has its own connection.
type load struct {
	repeatable []oktasim.Kind // the faults that an answer may have if Okta then repeats the call

	mutex    sync.Mutex
	answered int
	repeated int // calls that Okta made more than once
	faults   []string

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// startLoad makes registrations through the proxy until stop, half of which must be denied. attempts limits Okta's
// attempts. A repeated attempt must have had no answer, or one of the faults in besides, such as an error of the proxy
// after a replica ended.
func startLoad(t *testing.T, proxy *Proxy, attempts int, besides ...oktasim.Kind) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{repeatable: append(besides, oktasim.KindConnection), cancel: cancel}
	t.Cleanup(func() {
		cancel()
		l.ended.Wait()
	})
	for i := range callers {
		hook, err := oktasim.New(oktasim.Options{
			URL: proxy.URL(), Credential: credential, RootCAs: proxy.CAs(), Attempts: attempts, Timeout: patience,
		})
		if err != nil {
			t.Fatal(err)
		}
		person, want := "jo@example.com", oktasim.Registered
		if i%2 == 1 {
			person, want = "jo@elsewhere.example", oktasim.Denied
		}
		l.ended.Go(func() {
			defer hook.Close()
			for ctx.Err() == nil {
				result, err := hook.Register(context.WithoutCancel(ctx), oktasim.Registration{Email: person}) // completes a pending call
				if err == nil {
					l.add(result, want)
				}
				time.Sleep(callPause)
			}
		})
	}
	return l
}

func (l *load) add(result oktasim.Result, want oktasim.Outcome) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.answered++
	repeated := result.Attempts > 1
	if repeated {
		l.repeated++
	}
	faulty := slices.ContainsFunc(result.Faults, func(fault oktasim.Fault) bool {
		return !fault.Earlier || !slices.Contains(l.repeatable, fault.Kind)
	})
	if result.Outcome != want || result.Status != http.StatusOK || faulty {
		l.faults = append(l.faults, fmt.Sprintf("%s: %d, %s, want %s: %q",
			time.Now().Format("05.000"), result.Status, result.Outcome, want, result.Faults))
	}
}

// count returns how many calls have had an answer, correct or not.
func (l *load) count() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.answered
}

// stop ends the calls, and reports an error for each that was not answered correctly.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.cancel()
	l.ended.Wait()
	for _, fault := range l.faults {
		t.Error(fault)
	}
	t.Logf("%d calls, %d of them repeated, %d lost or wrongly answered", l.answered, l.repeated, len(l.faults))
}

// awaitCalls waits until n more calls were answered.
func (l *load) awaitCalls(t *testing.T, n int) {
	t.Helper()
	want := l.count() + n
	fixture.Await(t, "more calls answered", func() bool { return l.count() >= want })
}

func TestARollingRestartLosesNoCall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind     Kind
		options  Options
		attempts int // the maximum number of Okta's attempts
	}{
		"behind haproxy": {kind: HAProxy, attempts: 1},
		"behind Traefik": {kind: Traefik, attempts: 1},
		// A reload of nginx ends callers' connections. So either nginx must close them after each answer, or Okta must
		// repeat calls.
		"behind nginx that closes after each answer":           {kind: Nginx, options: Options{OneCallAConnection: true}, attempts: 1},
		"behind nginx that keeps connections, if Okta repeats": {kind: Nginx, attempts: oktasim.DefaultAttempts},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			restart(t, test.kind, test.options, test.attempts)
		})
	}
}

// restart replaces all replicas under load. The proxy gets each change of endpoints after endpointsLag.
func restart(t *testing.T, kind Kind, options Options, attempts int) {
	replicas := startThree(t)
	options.Backends = hooksOf(replicas)
	proxy := Start(t, kind, options)
	load := startLoad(t, proxy, attempts)
	for _, r := range replaceAll(t, load, replicas, func(endpoints ...string) { proxy.SetBackends(t, endpoints...) }) {
		fixture.Await(t, "calls at each new replica", func() bool { return r.decided("ALLOW") > 0 && r.decided("DENY") > 0 })
	}
	load.stop(t)
}

func TestARollingRestartLosesNoCallWhereTheProxyKnowsTheServicesAddressOnly(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		replicas := startThree(t)
		virtual := startVirtualAddress(t, hooksOf(replicas)...)
		proxy := Start(t, kind, Options{Backends: []string{virtual.address}})
		load := startLoad(t, proxy, 1)
		replaceAll(t, load, replicas, virtual.setEndpoints)
		load.stop(t)
	})
}

func startThree(t *testing.T) []*replica {
	t.Helper()
	replicas := make([]*replica, 3)
	for i := range replicas {
		replicas[i] = startReplica(t, "--drain-delay", drainDelay)
	}
	return replicas
}

// replaceAll replaces the replicas one after another, as a Deployment does with maxSurge 1 and maxUnavailable 0, and
// returns the new ones.
func replaceAll(t *testing.T, load *load, replicas []*replica, setEndpoints func(...string)) []*replica {
	t.Helper()
	load.awaitCalls(t, 10*callers)
	replaced := slices.Clone(replicas)
	for _, old := range replaced {
		replicas = append(replicas, startReplica(t, "--drain-delay", drainDelay))
		setEndpoints(hooksOf(replicas)...)
		old.terminate(t)
		fixture.Await(t, "unready after SIGTERM", func() bool { return !old.ready() })
		time.Sleep(endpointsLag)
		replicas = slices.DeleteFunc(replicas, func(r *replica) bool { return r == old })
		setEndpoints(hooksOf(replicas)...)
		load.awaitCalls(t, callers)
	}
	for _, old := range replaced {
		fixture.Await(t, "the old replica's end", old.ended)
	}
	load.awaitCalls(t, callers)
	return replicas
}

func hooksOf(replicas []*replica) []string {
	addresses := make([]string, len(replicas))
	for i, r := range replicas {
		addresses[i] = r.hook
	}
	return addresses
}
