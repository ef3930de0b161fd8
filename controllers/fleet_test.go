package controllers

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

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

// If it closed when the API server is back, until it has joined the others, a fleet that started without one would close as
// a whole.
func TestAReplicaThatServesWithoutTheOthersGoesOnWhenItJoinsThem(t *testing.T) {
	t.Parallel()
	namespace := cluster.namespace(t)
	cluster.apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	cut, config := startProxy(t, cluster.config)
	cut.Cut()
	r := startReplica(t, config, namespace, "first")
	if r.report.Serving(false, false) {
		t.Error("it serves without rules")
	}
	const loaded, stored = true, true
	eventually(t, within, func() string {
		if !r.report.Serving(loaded, stored) {
			return "it does not serve with stored rules, although nobody answers"
		}
		return ""
	})
	cut.Mend()
	eventually(t, withinABackoff, func() string {
		if !r.report.Serving(loaded, !stored) {
			t.Fatal("it closed when the API server was back")
		}
		got, _ := readyOf(t, cluster, namespace, "acme")
		if got != "True InForce 1/1" {
			return got
		}
		return ""
	})
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
