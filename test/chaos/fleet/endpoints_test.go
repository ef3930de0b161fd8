package fleet

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEndpointsSayWhatKubernetesSaysOfPods(t *testing.T) {
	for sentence, c := range map[string]struct {
		ready, deleted              bool
		inReady, serving, terminate bool
	}{
		"a pod that is ready is ready and serves":                         {ready: true, inReady: true, serving: true},
		"one that is not is neither":                                      {},
		"one that is deleted and drains is not ready and serves":          {ready: true, deleted: true, serving: true, terminate: true},
		"one that is deleted and no longer ready is terminating and idle": {deleted: true, terminate: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "replica-001"}}
			pod.Status.PodIP = inCluster("127.1.2.3")
			state := corev1.ConditionFalse
			if c.ready {
				state = corev1.ConditionTrue
			}
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: state}}
			if c.deleted {
				pod.DeletionTimestamp = new(metav1.Now())
			}
			endpoints := endpointsOf([]corev1.Pod{{}, pod}) // one without an address has no endpoint
			if len(endpoints) != 1 {
				t.Fatalf("%d endpoints, want 1", len(endpoints))
			}
			got := endpoints[0].Conditions
			want := [3]bool{c.inReady, c.serving, c.terminate}
			if diff := cmp.Diff(want, [3]bool{*got.Ready, *got.Serving, *got.Terminating}); diff != "" {
				t.Errorf("ready, serving, terminating (-want +got):\n%s", diff)
			}
			ready, serving := addresses(endpoints)
			if (len(ready) == 1) != c.inReady || (len(serving) == 1) != c.serving {
				t.Errorf("the proxy is told of %v and %v", ready, serving)
			}
			if c.inReady && ready[0] != "127.1.2.3" {
				t.Errorf("the proxy is told of %s", ready[0])
			}
		})
	}
}
