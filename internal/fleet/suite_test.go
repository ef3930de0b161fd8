package fleet

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/replicalease"
	"registrationpolicy.dev/operator/test/apiserver"
)

// leaseName is that of the lease of the leader.
const leaseName = "operator"

var cluster *apiserver.Cluster

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m, &cluster)) }

func newNamespace(t *testing.T) string {
	t.Helper()
	return cluster.Namespace(t)
}

// pod makes a pod, as a kubelet and a scheduler would leave it, and returns its UID.
func pod(t *testing.T, namespace, name string, phase corev1.PodPhase) types.UID {
	t.Helper()
	object := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "operator", Image: "operator"}}},
	}
	if err := cluster.Kube.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	object.Status.Phase = phase
	if err := cluster.Kube.Status().Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return object.UID
}

// endpoint is what a Service's EndpointSlice says of a pod.
type endpoint struct {
	name    string
	serving *bool
}

// endpoints makes the EndpointSlice of the Service "hook".
func endpoints(t *testing.T, namespace string, endpoints ...endpoint) {
	t.Helper()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "hook-1", Labels: map[string]string{discoveryv1.LabelServiceName: "hook"},
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
	if err := cluster.Kube.Create(t.Context(), slice); err != nil {
		t.Fatal(err)
	}
}

// lease makes the Lease of a replica, renewed so long ago by its own clock.
func lease(t *testing.T, namespace, name string, podUID types.UID, age time.Duration, report replicalease.Report) {
	t.Helper()
	object := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: replicalease.Name(leaseName, name)},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new(name), RenewTime: new(metav1.NewMicroTime(time.Now().Add(-age)))},
	}
	if err := replicalease.Write(object, leaseName, report); err != nil {
		t.Fatal(err)
	}
	if podUID != "" {
		object.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: name, UID: podUID}}
	}
	if err := cluster.Kube.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// newObserver returns an observer of the Service "hook".
func newObserver(namespace string) *Observer {
	return &Observer{
		Reader: cluster.Kube, Namespace: namespace, LeaseName: leaseName, ServiceName: "hook",
		Metrics: NewMetrics(prometheus.NewRegistry()), Logger: logr.Discard(),
	}
}

// age makes an observer have seen all Leases in their present version for longer.
func (o *Observer) age(by time.Duration) {
	for uid, known := range o.leaseVersions {
		known.firstSeen = known.firstSeen.Add(-by)
		o.leaseVersions[uid] = known
	}
}
