package controllers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod makes a pod, as a kubelet and a scheduler that are not there would leave it, and returns its UID.
func (c *testCluster) pod(t *testing.T, namespace, name string, phase corev1.PodPhase) types.UID {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "operator", Image: "operator"}}},
	}
	if err := c.kube.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	pod.Status.Phase = phase
	if err := c.kube.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return pod.UID
}

// endpoint is what a Service's EndpointSlice says of a pod.
type endpoint struct {
	name    string
	serving *bool
}

// endpoints makes the Service's EndpointSlice say this, as the controller that is not there would.
func (c *testCluster) endpoints(t *testing.T, namespace, service string, endpoints ...endpoint) {
	t.Helper()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for i, e := range endpoints {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.0.0.%d", i+1)},
			Conditions: discoveryv1.EndpointConditions{Serving: e.serving},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: e.name},
		})
	}
	existing := &discoveryv1.EndpointSlice{}
	if err := c.kube.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: slice.Name}, existing); err == nil {
		slice.ResourceVersion = existing.ResourceVersion
		if err := c.kube.Update(t.Context(), slice); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := c.kube.Create(t.Context(), slice); err != nil {
		t.Fatal(err)
	}
}

// lease makes a replica's report that was renewed so long ago.
func (c *testCluster) lease(t *testing.T, namespace, name string, podUID types.UID, age time.Duration, said report) {
	t.Helper()
	text, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: leaseName + "." + name,
			Labels:      map[string]string{replicaOfLabel: leaseName},
			Annotations: map[string]string{reportAnnotation: string(text)},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: new(name), RenewTime: new(metav1.NewMicroTime(time.Now().Add(-age)))},
	}
	if podUID != "" {
		lease.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: name, UID: podUID}}
	}
	if err := c.kube.Create(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
}

func observed(t *testing.T, fleet *Fleet) []string {
	t.Helper()
	view, err := fleet.observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	replicas := []string{}
	for _, replica := range view.replicas {
		replicas = append(replicas, strings.TrimSpace(fmt.Sprintf("%s %s %s", replica.name, replica.state, replica.through)))
	}
	return replicas
}

func TestAReplicaLeavesTheCountOnlyWhenItCannotBeAsked(t *testing.T) {
	const old = time.Hour
	serves, does := report{PublishedThrough: "7", Serving: true}, new(true)
	not := new(false)
	cases := map[string]struct {
		arrange   func(t *testing.T, namespace string)
		noService bool
		want      []string
	}{
		"one that serves and reports counts": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", cluster.pod(t, namespace, "a", corev1.PodRunning), 0, serves)
				cluster.endpoints(t, namespace, "hook", endpoint{"a", does})
			},
			want: []string{"a reporting 7"},
		},
		"so does one of which the endpoints do not say whether it serves": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", "", 0, serves)
				cluster.endpoints(t, namespace, "hook", endpoint{"a", nil})
			},
			want: []string{"a reporting 7"},
		},
		"one that serves and is silent counts": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", cluster.pod(t, namespace, "a", corev1.PodRunning), old, serves)
				cluster.endpoints(t, namespace, "hook", endpoint{"a", does})
			},
			want: []string{"a silent 7"},
		},
		"one that serves and never reported counts": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.endpoints(t, namespace, "hook", endpoint{"a", does})
			},
			want: []string{"a unreported"},
		},
		"one that is silent and does not serve is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", cluster.pod(t, namespace, "a", corev1.PodRunning), old, serves)
				cluster.endpoints(t, namespace, "hook", endpoint{"a", not})
			},
			want: []string{},
		},
		"one that says that it takes calls counts before the endpoints have it": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", cluster.pod(t, namespace, "a", corev1.PodRunning), 0, serves)
				cluster.endpoints(t, namespace, "hook")
			},
			want: []string{"a reporting 7"},
		},
		"one that says that it does not is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", cluster.pod(t, namespace, "a", corev1.PodRunning), 0, report{})
				cluster.endpoints(t, namespace, "hook")
			},
			want: []string{},
		},
		"but not while the endpoints say that it serves": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", cluster.pod(t, namespace, "a", corev1.PodRunning), 0, report{})
				cluster.endpoints(t, namespace, "hook", endpoint{"a", does})
			},
			want: []string{"a reporting"},
		},
		"one whose pod is gone is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", "00000000-0000-0000-0000-000000000001", 0, serves)
				cluster.endpoints(t, namespace, "hook")
			},
			want: []string{},
		},
		"one whose pod has another life is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.pod(t, namespace, "a", corev1.PodRunning)
				cluster.lease(t, namespace, "a", "00000000-0000-0000-0000-000000000001", 0, serves)
				cluster.endpoints(t, namespace, "hook")
			},
			want: []string{},
		},
		"one whose pod has ended is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", cluster.pod(t, namespace, "a", corev1.PodFailed), 0, serves)
				cluster.endpoints(t, namespace, "hook")
			},
			want: []string{},
		},
		"what one claims of before etcd was restored counts for nothing": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", "", 0, report{PublishedThrough: "999999999999", Serving: true})
				cluster.endpoints(t, namespace, "hook", endpoint{"a", does})
			},
			want: []string{"a reporting"},
		},
		"without a Service, one that is silent counts": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", "", old, serves)
			},
			noService: true,
			want:      []string{"a silent 7"},
		},
		"without a Service, one whose pod is gone is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				cluster.lease(t, namespace, "a", "00000000-0000-0000-0000-000000000001", 0, serves)
			},
			noService: true,
			want:      []string{},
		},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.namespace(t)
			c.arrange(t, namespace)
			// Another release's, and another Service's, in the same namespace.
			fleet := &Fleet{Reader: cluster.kube, Namespace: namespace, LeaseName: leaseName, ServiceName: "hook"}
			if c.noService {
				fleet.ServiceName = ""
			}
			if diff := cmp.Diff(c.want, observed(t, fleet)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

// A fenced replica answers nobody, so that nobody has to wait for it; but that it is fenced, the leader must have seen itself.
func TestAFencedReplicaLeavesTheCountOnceItHasBeenSilentForThatLong(t *testing.T) {
	namespace := cluster.namespace(t)
	cluster.lease(t, namespace, "a", "", time.Hour, report{PublishedThrough: "7", Serving: true, FenceAfterSeconds: 30})
	cluster.endpoints(t, namespace, "hook", endpoint{"a", new(true)})
	fleet := &Fleet{Reader: cluster.kube, Namespace: namespace, LeaseName: leaseName, ServiceName: "hook"}
	want := func(sentence string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), observed(t, fleet)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
	want("at first sight, whatever its clock says", "a silent 7")
	for uid, sighting := range fleet.sightings {
		sighting.at = sighting.at.Add(-30*time.Second - fenceMargin)
		fleet.sightings[uid] = sighting
	}
	want("after it was seen to be silent for as long as its fence takes")
}

func TestTheReportOfAReplicaComesAndGoesWithIt(t *testing.T) {
	t.Parallel()
	namespace := cluster.namespace(t)
	uid := cluster.pod(t, namespace, "first", corev1.PodRunning)
	cluster.apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	r := startReplicaAs(t, cluster.config, namespace, "first", setup{podUID: uid})
	key := types.NamespacedName{Namespace: namespace, Name: leaseName + ".first"}
	lease := &coordinationv1.Lease{}
	said := report{}
	eventually(t, within, func() string {
		if err := cluster.kube.Get(t.Context(), key, lease); err != nil {
			return err.Error()
		}
		if err := json.Unmarshal([]byte(lease.Annotations[reportAnnotation]), &said); err != nil {
			return err.Error()
		}
		if !said.Serving {
			return "the report does not say that the replica takes calls"
		}
		return ""
	})
	if digest := snapshotOf(t, r).Digest(); said.Digest != digest {
		t.Errorf("the report names the digest %s, and %s is in force", said.Digest, digest)
	}
	if owners := lease.OwnerReferences; len(owners) != 1 || owners[0].UID != uid || owners[0].Kind != "Pod" {
		t.Errorf("owners %+v, want the pod, with which the report is deleted", owners)
	}
	if size := len(lease.Annotations[reportAnnotation]); size > 512 {
		t.Errorf("the report has %d octets, want a few hundred", size)
	}
	eventually(t, within, func() string {
		if !r.report.TakesCalls(true, false) {
			return "the replica does not take calls"
		}
		return ""
	})
	r.stop()
	if err := cluster.kube.Get(t.Context(), key, lease); err == nil {
		t.Error("the report is there after a clean stop")
	}
}

// Were it to close when the API server is back, until it has joined the others, a fleet that started without one would close as a
// whole.
func TestAReplicaThatTakesCallsWithoutTheOthersGoesOnWhenItJoinsThem(t *testing.T) {
	t.Parallel()
	namespace := cluster.namespace(t)
	cluster.apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	cut, config := startProxy(t, cluster.config)
	cut.Cut()
	r := startReplica(t, config, namespace, "first")
	if r.report.TakesCalls(false, false) {
		t.Error("it takes calls without rules")
	}
	const loaded, stored = true, true
	eventually(t, within, func() string {
		if !r.report.TakesCalls(loaded, stored) {
			return "it does not take calls with stored rules, although nobody answers"
		}
		return ""
	})
	cut.Mend()
	eventually(t, withinABackoff, func() string {
		if !r.report.TakesCalls(loaded, !stored) {
			t.Fatal("it closed when the API server was back")
		}
		got, _ := readyOf(t, cluster, namespace, "acme")
		if got != "True InForce 1/1" {
			return got
		}
		return ""
	})
}

func TestAReplicaTakesOverTheReportThatAnEarlierProcessLeft(t *testing.T) {
	t.Parallel()
	namespace := cluster.namespace(t)
	cluster.lease(t, namespace, "first", "", 0, report{PublishedThrough: "999999999", Serving: true})
	cluster.apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	startReplica(t, cluster.config, namespace, "first")
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1")
}

// Two processes outside of pods may share a host name. Were both to write one report, each would speak for the other.
func TestProcessesUnderOneNameReportApart(t *testing.T) {
	t.Parallel()
	namespace := cluster.namespace(t)
	cluster.apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	one := startReplica(t, cluster.config, namespace, "same")
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1")
	other := startReplicaAs(t, cluster.config, namespace, "same", setup{instance: "other-instance"})
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 2/2")
	if log := one.log.String() + other.log.String(); !strings.Contains(log, "--replica-name") {
		t.Error("nothing says that they share a name")
	}
}

// A frozen process answers, when it thaws, what reached it before. It must see at once that its time is over.
func TestAReplicaWithoutAReportForTooLongIsFenced(t *testing.T) {
	t.Parallel()
	namespace := cluster.namespace(t)
	cut, config := startProxy(t, cluster.config)
	r := startReplicaAs(t, config, namespace, "first", setup{fence: 12 * time.Second})
	if !r.report.Fenced() {
		t.Error("not fenced before the first report")
	}
	fenced := func(want bool) func() string {
		return func() string {
			if got := r.report.Fenced(); got != want {
				return fmt.Sprintf("fenced: %v, want %v", got, want)
			}
			return ""
		}
	}
	eventually(t, within, fenced(false))
	cluster.apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "ALLOW Allowed")
	cut.Cut()
	cluster.apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	eventually(t, within, func() string {
		if r.report.Fenced() && !r.report.FencedSoon() {
			t.Fatal("fenced before it is said that it will be")
		}
		return fenced(true)()
	})
	cut.Mend()
	eventually(t, withinABackoff, fenced(false))
	// Its report gets through sooner than what has changed meanwhile comes in: that it does, is no proof.
	wantAnswer(t, r.store, localPart+"@acme.com", "DENY NotAllowed")
}
