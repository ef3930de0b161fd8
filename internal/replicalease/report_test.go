package replicalease

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	want := Report{
		Digest: "sha256:0123", Synced: map[string]string{"team": "7"}, Unreadable: []string{"other"},
		Serving: true, Stopping: true, Version: "v0.0.0-test", FenceAfterSeconds: 60,
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"},
	}}
	if err := Write(lease, "operator", want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, Read(lease)); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}
	for key, value := range Labels("operator") {
		if lease.Labels[key] != value {
			t.Errorf("the label %s is %q, want %q: the leader does not find the Lease", key, lease.Labels[key], value)
		}
	}
	if lease.Labels["a"] != "b" || lease.Annotations["c"] != "d" {
		t.Errorf("labels %v and annotations %v: those of others are gone", lease.Labels, lease.Annotations)
	}
}

func TestAReportOfAnUnknownFormatSaysThatTheReplicaServes(t *testing.T) {
	for _, text := range []string{"", "7", `{"synced": "7"}`} {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{reportAnnotation: text}}}
		if diff := cmp.Diff(Report{Serving: true}, Read(lease)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestTheNameOfALeaseHasThatOfItsReplica(t *testing.T) {
	for name, want := range map[string]string{Name("operator", "pod-1"): "pod-1", "operator": "", "op": ""} {
		if got := ReplicaName("operator", name); got != want {
			t.Errorf("%q: the replica is %q, want %q", name, got, want)
		}
	}
}
