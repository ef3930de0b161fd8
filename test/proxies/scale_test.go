package proxies

import (
	"net/http"
	"testing"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
)

// fleet has the replicas behind a proxy, and the load on them.
type fleet struct {
	proxy    *Proxy
	load     *load
	replicas []*replica
}

// add starts a replica, and adds it to the proxy when it is ready.
func (f *fleet) add(t *testing.T) {
	t.Helper()
	f.replicas = append(f.replicas, startReplica(t, "--drain-delay", drainDelay))
	f.proxy.SetBackends(t, hooksOf(f.replicas)...)
	f.load.awaitCalls(t, callers)
}

// remove terminates all replicas except the first ones at the same time, as a Deployment does. It removes them from the
// proxy a moment later.
func (f *fleet) remove(t *testing.T, leave int) {
	t.Helper()
	going := f.replicas[leave:]
	f.replicas = f.replicas[:leave:leave]
	for _, r := range going {
		r.terminate(t)
	}
	for _, r := range going {
		fixture.Await(t, "unready after SIGTERM", func() bool { return !r.ready() })
	}
	time.Sleep(endpointsLag)
	f.proxy.SetBackends(t, hooksOf(f.replicas)...)
	for _, r := range going {
		fixture.Await(t, "the end of a replica", r.ended)
	}
	f.load.awaitCalls(t, callers)
}

func TestScalingUpAndDownLosesNoCall(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		f := &fleet{replicas: startThree(t)}
		f.proxy = Start(t, kind, Options{Backends: hooksOf(f.replicas), OneCallAConnection: kind == Nginx}) // see TestARollingRestartLosesNoCall
		f.load = startLoad(t, f.proxy, 1)
		f.load.awaitCalls(t, 10*callers)
		f.add(t)
		f.add(t)
		f.remove(t, 1)
		f.add(t)
		f.remove(t, 1)
		f.load.stop(t)
	})
}

// Pending calls of a killed replica get no answer. The proxy does not repeat a POST that it has sent: it answers 502 or
// closes the connection, and Okta repeats the call. All other calls are answered by the other replicas, before and
// after the proxy knows that the replica is gone.
func TestAKilledReplicaCostsNoCallThatOktaRepeats(t *testing.T) {
	t.Parallel()
	behindEach(t, func(t *testing.T, kind Kind) {
		f := &fleet{replicas: startThree(t)}
		f.proxy = Start(t, kind, Options{Backends: hooksOf(f.replicas), Repeats: true})
		f.load = startLoad(t, f.proxy, oktasim.DefaultAttempts, oktasim.KindStatus)
		f.load.awaitCalls(t, 10*callers)
		for range 4 {
			dead := f.replicas[0]
			if err := dead.process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			fixture.Await(t, "the end of a killed replica", dead.ended)
			f.load.awaitCalls(t, 10*callers) // while the proxy still has the killed replica
			f.replicas = f.replicas[1:]
			f.add(t)
		}
		f.load.stop(t)
	})
}

// A proxy that knows only the address of the Service has no second one. So nginx repeats nothing, whatever its
// configuration, and every call that meets a dead replica is answered 502.
func TestNginxThatKnowsTheServicesAddressOnlyRepeatsNothing(t *testing.T) {
	t.Parallel()
	virtual := startVirtualAddress(t, append(startReplicas(t, 1), fixture.FreeAddress(t))...) // nothing listens at the second
	proxy := Start(t, Nginx, Options{Backends: []string{virtual.address}, Repeats: true, OneCallAConnection: true})
	statuses := map[int]int{}
	for range 10 {
		statuses[statusOf(t, through(t, proxy, post(allowedBody, "Authorization: "+credential)))]++
	}
	if statuses[http.StatusBadGateway] == 0 {
		t.Errorf("statuses: %v, want some of 502", statuses)
	}
}
