package fleet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/replicalease"
)

// observed returns what an observer sees of each replica: its name, its state, and up to which version it has synced "team".
func observed(t *testing.T, observer *Observer) []string {
	t.Helper()
	seen, err := observer.observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	replicas := []string{}
	for _, replica := range seen.replicas {
		replicas = append(replicas, strings.TrimSpace(fmt.Sprintf("%s %s %s", replica.name, replica.state, replica.synced["team"])))
	}
	return replicas
}

func TestAReplicaLeavesTheCountOnlyWhenItCannotServe(t *testing.T) {
	const old = time.Hour
	serves, does := replicalease.Report{Synced: map[string]string{"team": "7"}, Serving: true}, new(true)
	not := new(false)
	cases := map[string]struct {
		arrange   func(t *testing.T, namespace string)
		noService bool
		seenFor   time.Duration // how long the leader has seen the reports as they are
		want      []string
	}{
		"one that serves and reports counts": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", pod(t, namespace, "a", corev1.PodRunning), 0, serves)
				endpoints(t, namespace, endpoint{"a", does})
			},
			want: []string{"a reporting 7"},
		},
		"so does one of which the endpoints do not say whether it serves": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", "", 0, serves)
				endpoints(t, namespace, endpoint{"a", nil})
			},
			want: []string{"a reporting 7"},
		},
		"one that serves and is silent counts": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", pod(t, namespace, "a", corev1.PodRunning), 0, serves)
				endpoints(t, namespace, endpoint{"a", does})
			},
			seenFor: old,
			want:    []string{"a silent 7"},
		},
		"one that serves and never reported counts": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				endpoints(t, namespace, endpoint{"a", does})
			},
			want: []string{"a unreported"},
		},
		"one that is silent and does not serve is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", pod(t, namespace, "a", corev1.PodRunning), 0, serves)
				endpoints(t, namespace, endpoint{"a", not})
			},
			seenFor: old,
			want:    []string{},
		},
		"one that reports that it serves counts before the endpoints have it": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", pod(t, namespace, "a", corev1.PodRunning), 0, serves)
				endpoints(t, namespace)
			},
			want: []string{"a reporting 7"},
		},
		"one that reports that it does not is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", pod(t, namespace, "a", corev1.PodRunning), 0, replicalease.Report{})
				endpoints(t, namespace)
			},
			want: []string{},
		},
		"but not while the endpoints say that it serves": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", pod(t, namespace, "a", corev1.PodRunning), 0, replicalease.Report{})
				endpoints(t, namespace, endpoint{"a", does})
			},
			want: []string{"a reporting"},
		},
		"one whose pod is gone is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", "00000000-0000-0000-0000-000000000001", 0, serves)
				endpoints(t, namespace)
			},
			want: []string{},
		},
		"one whose pod has another life is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				pod(t, namespace, "a", corev1.PodRunning)
				lease(t, namespace, "a", "00000000-0000-0000-0000-000000000001", 0, serves)
				endpoints(t, namespace)
			},
			want: []string{},
		},
		"one whose pod has ended is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", pod(t, namespace, "a", corev1.PodFailed), 0, serves)
				endpoints(t, namespace)
			},
			want: []string{},
		},
		"what one claims of before etcd was restored counts for nothing": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", "", 0, replicalease.Report{Synced: map[string]string{"team": "999999999999"}, Serving: true})
				endpoints(t, namespace, endpoint{"a", does})
			},
			want: []string{"a reporting"},
		},
		"without a Service, one that is silent counts": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", "", 0, serves)
			},
			noService: true,
			seenFor:   old,
			want:      []string{"a silent 7"},
		},
		"without a Service, one whose pod is gone is out": {
			arrange: func(t *testing.T, namespace string) {
				t.Helper()
				lease(t, namespace, "a", "00000000-0000-0000-0000-000000000001", 0, serves)
			},
			noService: true,
			want:      []string{},
		},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			namespace := newNamespace(t)
			c.arrange(t, namespace)
			observer := newObserver(namespace)
			if c.noService {
				observer.ServiceName = ""
			}
			if c.seenFor > 0 {
				observed(t, observer)
				observer.age(c.seenFor)
			}
			if diff := cmp.Diff(c.want, observed(t, observer)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

// A fenced replica answers no calls, so no generation waits for it. The leader decides by its own clock that it is fenced.
func TestAFencedReplicaLeavesTheCountOnceItHasBeenSilentForThatLong(t *testing.T) {
	namespace := newNamespace(t)
	lease(t, namespace, "a", "", time.Hour, replicalease.Report{Synced: map[string]string{"team": "7"}, Serving: true, FenceAfterSeconds: 40})
	endpoints(t, namespace, endpoint{"a", new(true)})
	observer := newObserver(namespace)
	want := func(sentence string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), observed(t, observer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
	want("at first sight, whatever its own clock says", "a reporting 7")
	observer.age(replicalease.Duration + time.Second)
	want("after it was seen to be silent", "a silent 7")
	observer.age(40*time.Second + fenceMargin - replicalease.Duration)
	want("after it was seen to be silent for as long as its fence takes")
}

// A replica whose clock is an hour behind, or that stood still and goes on, is no more silent than any other.
func TestTheAgeOfAReportGoesByTheClockOfTheLeader(t *testing.T) {
	namespace := newNamespace(t)
	lease(t, namespace, "behind", "", time.Hour, replicalease.Report{Synced: map[string]string{"team": "7"}, Serving: true})
	lease(t, namespace, "ahead", "", -time.Hour, replicalease.Report{Synced: map[string]string{"team": "7"}, Serving: true})
	observer := newObserver(namespace)
	observer.ServiceName = ""
	if diff := cmp.Diff([]string{"ahead reporting 7", "behind reporting 7"}, observed(t, observer)); diff != "" {
		t.Errorf("at first sight (-want +got):\n%s", diff)
	}
	observer.age(replicalease.Duration + time.Second)
	if diff := cmp.Diff([]string{"ahead silent 7", "behind silent 7"}, observed(t, observer)); diff != "" {
		t.Errorf("after they said nothing new for long (-want +got):\n%s", diff)
	}
}

func TestAReportOfAFormThatIsNotKnownIsOfAReplicaThatMayServe(t *testing.T) {
	namespace := newNamespace(t)
	lease(t, namespace, "a", "", 0, replicalease.Report{Serving: true})
	object := &coordinationv1.Lease{}
	if err := cluster.Kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: leaseName + ".a"}, object); err != nil {
		t.Fatal(err)
	}
	object.Annotations["registrationpolicy.dev/replica"] = `{"publishedThrough": "7", "synced": "7"}`
	if err := cluster.Kube.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a reporting"}, observed(t, newObserver(namespace))); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
}
