package policies

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/test/assets"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
)

// The checks of a run rely on what an author recorded. So its newest state must be what is stored, although the API
// server was unreachable during some writes.
func TestWhatIsNotedIsWhatIsStoredWhateverHappensToTheAPIServer(t *testing.T) {
	t.Chdir("../../..")
	dir := t.TempDir()
	if err := assets.Provide(); err != nil {
		t.Fatal(err)
	}
	plane, err := fleet.StartPlane(t.Context(), os.Getenv("KUBEBUILDER_ASSETS"), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Stop)
	admin, _, err := Install(t.Context(), plane, 1)
	if err != nil {
		t.Fatal(err)
	}
	author, err := NewAuthor(admin, fleet.NewTimeline(), Withdrawn, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := author.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			if err := author.change(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	const moment = time.Second
	for _, signals := range [][2]syscall.Signal{{syscall.SIGSTOP, syscall.SIGCONT}, {syscall.SIGKILL}} {
		for _, program := range []*fleet.Program{plane.APIServer, plane.Etcd} {
			time.Sleep(moment)
			if err := program.Signal(signals[0]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(apiTimeout + moment) // pending requests time out
			if signals[1] != 0 {
				err = program.Signal(signals[1])
			} else {
				_, err = program.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			for !plane.Serves(ctx) {
				time.Sleep(apiRetry)
			}
		}
	}
	time.Sleep(moment)
	stop()
	running.Wait()
	if author.doubts == 0 {
		t.Error("no write was ever in doubt: nothing was tried")
	}
	checkStored(t, admin, author)
}

func checkStored(t *testing.T, admin client.Client, author *Author) {
	t.Helper()
	var stored v1alpha1.RegistrationPolicyList
	var maps corev1.ConfigMapList
	if err := admin.List(t.Context(), &stored, client.InNamespace(author.Namespace)); err != nil {
		t.Fatal(err)
	}
	labels := client.MatchingLabels(listconfigmap.Labels())
	if err := admin.List(t.Context(), &maps, client.InNamespace(author.Namespace), labels); err != nil {
		t.Fatal(err)
	}
	policies := &author.policies[len(author.policies)-1]
	if len(stored.Items) != len(policies.specs) {
		t.Errorf("%d policies are stored; want %d", len(stored.Items), len(policies.specs))
	}
	for i := range stored.Items {
		policy := &stored.Items[i]
		generation := history.Generation{
			Namespace: policy.Namespace, Policy: policy.Name, UID: string(policy.UID), Number: policy.Generation,
		}
		if _, known := author.stored[generation]; !known {
			t.Errorf("generation %d of %s is not in the history", policy.Generation, policy.Name)
		}
		noted := policies.specs[policy.Name]
		if diff := cmp.Diff(noted.spec, policy.Spec); diff != "" {
			t.Errorf("%s (-noted +stored):\n%s", policy.Name, diff)
		}
		if size := storedSize(t, admin, policy); size != noted.size {
			t.Errorf("%s takes %d bytes, and %d were noted", policy.Name, size, noted.size)
		}
	}
	texts := map[string]string{}
	for i := range maps.Items {
		texts[maps.Items[i].Name] = maps.Items[i].Data["entries"]
	}
	for i, list := range author.newestLists() {
		if text, is := texts[listNames[i]]; text != list.text || is != list.stored || list.span.End != history.Never {
			t.Errorf("%s: stored %q, and %q was noted until %s", listNames[i], text, list.text, list.span.End)
		}
	}
	if policies.span.End != history.Never {
		t.Error("what is stored is said to have ended")
	}
}

// storedSize returns the size of a policy's spec as the operator counts it for the budget.
func storedSize(t *testing.T, admin client.Client, policy *v1alpha1.RegistrationPolicy) int64 {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicy"))
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(policy), object); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(object.Object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	return int64(len(text))
}
