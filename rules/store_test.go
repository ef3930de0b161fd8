package rules_test

import (
	"errors"
	"sync"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

func TestNotLoadedIsNotEmpty(t *testing.T) {
	var store rules.Store
	if snapshot, err := store.Load(); snapshot != nil || !errors.Is(err, rules.ErrNotLoaded) {
		t.Errorf("before the first publish: %v, %v", snapshot, err)
	}
	store.Publish(compile(t))
	snapshot, err := store.Load()
	if err != nil {
		t.Fatalf("a snapshot of no policies is one: %v", err)
	}
	if got := snapshot.Decide(signUp("jo@acme.com")); got.Reason != rules.ReasonNoPolicyApplies {
		t.Errorf("without policies: %s", got.Reason)
	}
}

func TestPublishPutsTheSnapshotInForce(t *testing.T) {
	var store rules.Store
	first, second := compile(t, allow("a", "*")), compile(t, deny("a", "*"))
	for _, want := range []*rules.Snapshot{first, second, second, first} {
		store.Publish(want)
		if got, err := store.Load(); got != want || err != nil {
			t.Errorf("got %p, %v; want %p", got, err, want)
		}
	}
}

func TestStoreIsSafeForAllAtOnce(t *testing.T) {
	var store rules.Store
	store.Publish(compile(t, allow("a", "*")))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { store.Publish(compile(t, allow("a", "acme.com"), allow("b", "*"))) })
		group.Go(func() {
			for range 100 {
				snapshot, err := store.Load()
				if err != nil {
					t.Error(err)
					return
				}
				if d := snapshot.Decide(signUp("jo@acme.com")); d.Reason != rules.ReasonAllowed {
					t.Errorf("reason %s", d.Reason)
				}
			}
		})
	}
	group.Wait()
}

func TestTheZeroSnapshotHasNoPolicies(t *testing.T) {
	var snapshot rules.Snapshot
	if got := snapshot.Decide(signUp("jo@acme.com")); got.Reason != rules.ReasonNoPolicyApplies {
		t.Errorf("reason %s", got.Reason)
	}
	if got := snapshot.Policies(); len(got) != 0 {
		t.Errorf("policies %v", got)
	}
}
