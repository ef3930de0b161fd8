package replica

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/replicalease"
)

// testReplica is a replica that reports on rules which a test sets.
type testReplica struct {
	*Replica

	rules *testRules
	log   *logLines
	stop  func()
}

// newReplica returns a replica that does not report yet.
func newReplica(t *testing.T, namespace, name string, inForce InForce) *testReplica {
	t.Helper()
	r := &testReplica{rules: newTestRules(inForce), log: &logLines{}}
	r.Replica = New(r.rules, Options{
		Leases: leases(t), Namespace: namespace, LeaseName: leaseName, Name: name, Instance: name + "-instance", Version: "v0.0.0-test",
		Metrics: NewMetrics(prometheus.NewRegistry()), Logger: logr.FromSlogHandler(slog.NewTextHandler(r.log, nil)),
	})
	return r
}

// start makes it report until the end of the test.
func (r *testReplica) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.Start(ctx); err != nil {
			t.Error(err)
		}
	}()
	r.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(r.stop)
}

// reportOf returns what a replica has reported, and the Lease that has it.
func reportOf(t *testing.T, namespace, name string) (replicalease.Report, *coordinationv1.Lease, error) {
	t.Helper()
	stored := &coordinationv1.Lease{}
	if err := cluster.Kube.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: leaseName + "." + name}, stored); err != nil {
		return replicalease.Report{}, nil, err
	}
	return replicalease.Read(stored), stored, nil
}

// eventuallyReports waits until a replica has reported what a test looks for.
func eventuallyReports(t *testing.T, namespace, name, what string, as func(replicalease.Report) bool) {
	t.Helper()
	eventually(t, func() string {
		switch reported, _, err := reportOf(t, namespace, name); {
		case err != nil:
			return err.Error()
		case !as(reported):
			return fmt.Sprintf("the report %+v does not say %s", reported, what)
		}
		return ""
	})
}

func serves(r replicalease.Report) bool { return r.Serving }

func eventuallyServes(t *testing.T, r *testReplica) {
	t.Helper()
	eventually(t, func() string {
		if !r.Serving(true, false) {
			return "the replica does not serve"
		}
		return ""
	})
}

func TestTheReportOfAReplicaComesAndGoesWithIt(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	const uid = "a13f"
	r := newReplica(t, namespace, "first", InForce{
		Digest: "sha256:0123", Synced: map[string]string{"team-a": "1", "team-b": "1"}, Unreadable: []string{"team-d", "team-b"},
	})
	r.options.PodUID, r.options.FenceAfter, r.rules.follow = uid, time.Minute, true
	r.start(t)
	eventuallyReports(t, namespace, "first", "that it serves", serves)
	reported, stored, err := reportOf(t, namespace, "first")
	if err != nil {
		t.Fatal(err)
	}
	reported.Synced["team-a"] = "changing"
	if diff := cmp.Diff(replicalease.Report{
		Digest: "sha256:0123", Synced: map[string]string{"team-a": "changing", "team-b": "1"}, Unreadable: []string{"team-b", "team-d"},
		Serving: true, Version: "v0.0.0-test", FenceAfterSeconds: 60,
	}, reported); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}
	if owners := stored.OwnerReferences; len(owners) != 1 || owners[0].UID != uid || owners[0].Kind != "Pod" {
		t.Errorf("owners %+v, want the pod, with which the report is deleted", owners)
	}
	eventuallyServes(t, r)
	r.stop()
	if _, _, err := reportOf(t, namespace, "first"); err == nil {
		t.Error("the report is there after a clean stop")
	}
}

func TestAReplicaTakesOverTheReportThatAnEarlierProcessLeft(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	earlier := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: replicalease.Name(leaseName, "first")}}
	report := replicalease.Report{Synced: map[string]string{"team": "999999999"}, Serving: true}
	if err := replicalease.Write(earlier, leaseName, report); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Kube.Create(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	r := newReplica(t, namespace, "first", InForce{})
	r.start(t)
	eventuallyReports(t, namespace, "first", "what is true of this process", func(reported replicalease.Report) bool {
		return !reported.Serving && len(reported.Synced) == 0
	})
}

// Two processes outside of pods may share a host name. If both wrote one report, each would speak for the other.
func TestProcessesUnderOneNameReportApart(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	synced := InForce{Synced: map[string]string{"team": "1"}}
	one, other := newReplica(t, namespace, "same", synced), newReplica(t, namespace, "same", synced)
	other.options.Instance = "other-instance"
	one.start(t)
	eventuallyReports(t, namespace, "same", "anything", func(replicalease.Report) bool { return true })
	other.start(t)
	eventually(t, func() string {
		_, _, errOne := reportOf(t, namespace, "same-same-ins")
		_, _, errOther := reportOf(t, namespace, "same-other-in")
		if errOne != nil && errOther != nil {
			return "neither has a report of its own"
		}
		return ""
	})
	if log := one.log.String() + other.log.String(); !strings.Contains(log, "--replica-name") {
		t.Error("the log does not say that they share a name")
	}
}

// Only the readable namespaces decide when a replica serves: an unreadable one does not delay it.
func TestAReplicaJoinsByTheNamespacesThatItCanRead(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	r := newReplica(t, namespace, "first", InForce{
		Synced: map[string]string{"own": "1", "team-a": "1", "team-b": "1"}, Unreadable: []string{"team-b", "never-read"},
	})
	r.start(t)
	eventuallyReports(t, namespace, "first", "its namespaces", func(reported replicalease.Report) bool { return len(reported.Synced) == 3 })
	// The Lease is written at a version that the rules have not reached.
	r.rules.set(InForce{
		Synced: map[string]string{"own": "999999998", "team-a": "1", "team-b": "1"}, Unreadable: []string{"team-b", "never-read"},
	})
	eventuallyReports(t, namespace, "first", "that one namespace is synced", func(reported replicalease.Report) bool {
		return reported.Synced["own"] == "999999998"
	})
	if reported, _, err := reportOf(t, namespace, "first"); err != nil || reported.Serving || r.Serving(true, false) {
		t.Errorf("it serves while a readable namespace is not synced (%v)", err)
	}
	r.rules.set(InForce{
		Synced: map[string]string{"own": "999999998", "team-a": "999999999", "team-b": "1"}, Unreadable: []string{"team-b", "never-read"},
	})
	eventuallyReports(t, namespace, "first", "that it serves", serves)
	eventuallyServes(t, r)
	if strings.Contains(r.log.String(), "without having joined") {
		t.Error("it did not join")
	}
}

func TestReachedGoesByTheNamespacesThatCanBeRead(t *testing.T) {
	for sentence, c := range map[string]struct {
		inForce InForce
		want    bool
	}{
		"all are as new":               {InForce{Synced: map[string]string{"a": "7", "b": "8"}}, true},
		"one is older":                 {InForce{Synced: map[string]string{"a": "6", "b": "8"}}, false},
		"one that cannot be read is":   {InForce{Synced: map[string]string{"a": "6", "b": "8"}, Unreadable: []string{"a"}}, true},
		"one was never read":           {InForce{Synced: map[string]string{"b": "8"}, Unreadable: []string{"a"}}, true},
		"none can be read":             {InForce{Synced: map[string]string{"a": "8"}, Unreadable: []string{"a"}}, false},
		"nothing was read":             {InForce{}, false},
		"a version that is not one":    {InForce{Synced: map[string]string{"a": "x", "b": "8"}}, false},
		"one that is longer is newer":  {InForce{Synced: map[string]string{"a": "10"}}, true},
		"an earlier one that is short": {InForce{Synced: map[string]string{"a": "2"}}, false},
	} {
		if got := c.inForce.reached("7"); got != c.want {
			t.Errorf("%s: reached 7 is %v, want %v", sentence, got, c.want)
		}
	}
}

// A frozen process answers, when it thaws, what reached it before. It must see at once that its time is over.
func TestAReplicaIsFencedWithoutAProofOfLife(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	r := newReplica(t, namespace, "first", InForce{Synced: map[string]string{"team-a": "1", "team-b": "1"}, Unreadable: []string{"team-b"}})
	r.options.FenceAfter = time.Minute
	if !r.Fenced() {
		t.Error("not fenced before the first report")
	}
	r.start(t)
	eventuallyReports(t, namespace, "first", "anything", func(replicalease.Report) bool { return true })
	if !r.Fenced() {
		t.Error("that a report got through was taken for a proof: the rules are older")
	}
	r.rules.set(InForce{Synced: map[string]string{"team-a": "999999999", "team-b": "1"}, Unreadable: []string{"team-b"}})
	// Versions that are newer than the next report are from before a restore of etcd, and prove nothing either; this one was
	// compared with an earlier report.
	eventually(t, func() string {
		if r.Fenced() {
			return "fenced, although the readable namespace is as new as a report"
		}
		return ""
	})
	r.stop() // it reads the time at which it was started
	r.started = r.started.Add(-51 * time.Second)
	if r.Fenced() || !r.FencedSoon() {
		t.Errorf("51 s without a proof: fenced %v, soon %v; want only soon", r.Fenced(), r.FencedSoon())
	}
	r.started = r.started.Add(-10 * time.Second)
	if !r.Fenced() {
		t.Error("61 s without a proof: not fenced")
	}
}

func TestWithoutAReadableNamespaceThereIsNoProofOfLife(t *testing.T) {
	r := newReplica(t, "any", "first", InForce{})
	r.options.FenceAfter = time.Minute
	inForce := InForce{Synced: map[string]string{"team": "999"}, Unreadable: []string{"team"}}
	r.awaitConfirmation(sentReport{time.Second, "500"}, inForce)
	if r.confirm(inForce); !r.Fenced() {
		t.Error("a namespace that cannot be read proved that the API server sends what there is")
	}
	inForce.Unreadable = nil
	r.ahead = false
	if r.confirm(inForce); r.Fenced() {
		t.Error("fenced, although the namespace is as new as the report")
	}
}

// The report of each replica is written every 10 seconds and read by the leader. An object of the API has room for annotations of
// 256 KiB in all.
func TestTheReportOfManyNamespacesFitsIntoALease(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	for _, c := range []struct {
		namespaces, nameLength, maxKiB int
	}{{50, 20, 2}, {500, 20, 20}, {2500, 63, 256}} {
		synced := map[string]string{}
		for i := range c.namespaces {
			synced[fmt.Sprintf("%0*d", c.nameLength, i)] = "1234567890"
		}
		name := fmt.Sprint("with-", c.namespaces)
		r := newReplica(t, namespace, name, InForce{Digest: "sha256:" + strings.Repeat("0", 64), Synced: synced})
		r.start(t)
		eventuallyReports(t, namespace, name, "all namespaces", func(reported replicalease.Report) bool { return len(reported.Synced) == c.namespaces })
		_, stored, err := reportOf(t, namespace, name)
		if err != nil {
			t.Fatal(err)
		}
		size := len(stored.Annotations["registrationpolicy.dev/replica"])
		t.Logf("%d namespaces with names of %d characters: %d bytes", c.namespaces, c.nameLength, size)
		if size > c.maxKiB<<10 {
			t.Errorf("%d bytes, want at most %d KiB", size, c.maxKiB)
		}
	}
}
