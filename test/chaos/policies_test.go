package main

import (
	"context"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/controllers"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
)

// The history is what everything is held against: whatever happens to the API server in between, its newest version has to be
// what is stored.
func TestWhatIsNotedIsWhatIsStoredWhateverHappensToTheAPIServer(t *testing.T) {
	t.Chdir("../..")
	dir := t.TempDir()
	plane, err := fleet.StartPlane(t.Context(), os.Getenv("KUBEBUILDER_ASSETS"), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plane.Stop)
	admin, err := install(t.Context(), plane)
	if err != nil {
		t.Fatal(err)
	}
	timeline := fleet.NewTimeline()
	policies, err := newPolicies(admin, timeline, namespace, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := policies.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watcher := &Watcher{client: admin, timeline: timeline, namespace: namespace}
	var running sync.WaitGroup
	running.Go(func() { watcher.Run(ctx) })
	running.Go(func() {
		for ctx.Err() == nil {
			if err := policies.change(t.Context()); err != nil {
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
			time.Sleep(apiTimeout + moment) // requests give up
			if signals[1] != 0 {
				err = program.Signal(signals[1])
			} else {
				_, err = program.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			for !plane.Serves(ctx) {
				time.Sleep(lookEvery)
			}
		}
	}
	time.Sleep(moment)
	stop()
	running.Wait()
	if policies.doubts == 0 {
		t.Error("no write was ever in doubt: nothing was tried")
	}
	checkStored(t, admin, policies)
}

func checkStored(t *testing.T, admin client.Client, policies *Policies) {
	t.Helper()
	var stored v1alpha1.RegistrationPolicyList
	var maps corev1.ConfigMapList
	if err := admin.List(t.Context(), &stored, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	if err := admin.List(t.Context(), &maps, client.InNamespace(namespace), client.MatchingLabels(controllers.ListLabels())); err != nil {
		t.Fatal(err)
	}
	state := policyState{specs: map[string]v1alpha1.RegistrationPolicySpec{}}
	for _, policy := range stored.Items {
		state.specs[policy.Name] = policy.Spec
		generation := history.Generation{Policy: policy.Name, UID: string(policy.UID), Number: policy.Generation}
		if _, known := policies.stored[generation]; !known {
			t.Errorf("generation %d of %s is not in the history", policy.Generation, policy.Name)
		}
	}
	lists := listState{texts: map[string]string{}}
	for _, object := range maps.Items {
		lists.texts[object.Name] = object.Data["entries"]
	}
	_, digest, err := policies.compile(t.Context(), &state, &lists)
	if err != nil {
		t.Fatal(err)
	}
	if err := policies.Settle(t.Context(), nil, staleness); err != nil {
		t.Fatal(err)
	}
	version := policies.versions[digest]
	if version == nil {
		t.Fatal("what is stored is not in the history")
	}
	if version.Superseded != history.Never {
		t.Errorf("what is stored is an earlier state of the history, superseded at %s", version.Superseded)
	}
	for digest, other := range policies.versions {
		if other != version && other.Superseded == history.Never {
			t.Errorf("version %d/%d (%s) is said to be in force too", other.Policies, other.Lists, digest)
		}
	}
}
