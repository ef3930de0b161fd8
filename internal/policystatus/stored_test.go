package policystatus_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/policystatus"
)

func TestACachedPolicyReadsAsItIsStored(t *testing.T) {
	t.Parallel()
	for sentence, status := range map[string]any{
		"of ours": map[string]any{
			"observedGeneration": int64(3),
			"replicas":           map[string]any{"firstSeenResourceVersion": "17"},
			"conditions": []any{
				map[string]any{
					"type": "Ready", "status": "True", "reason": "InForce", "message": "<everywhere>", "observedGeneration": int64(3),
					"lastTransitionTime": "2026-08-01T12:00:00Z",
				},
				map[string]any{
					"type": "Reviewed", "status": "True", "reason": "ByAnn", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
				},
			},
		},
		"of somebody else": map[string]any{"phase": "Done"},
		"that decodes not": map[string]any{"conditions": "none"},
		"none":             nil,
	} {
		stored := policyobject.New()
		stored.SetNamespace("default")
		stored.SetName("p")
		stored.Object["spec"] = map[string]any{"allow": map[string]any{"domains": []any{"acme.com"}}}
		stored.SetGeneration(3)
		if status != nil {
			stored.Object["status"] = status
		}
		cached := stored.DeepCopy()
		if err := informers.Compact(cached); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(policystatus.Stored(stored), policystatus.Stored(cached)); diff != "" {
			t.Errorf("a status %s (-want +got):\n%s", sentence, diff)
		}
		ready, firstSeen := policystatus.IsReady(cached), policystatus.FirstSeenVersion(cached)
		wantFirst := ""
		if sentence == "of ours" {
			wantFirst = "17"
		}
		if ready != (sentence == "of ours") || ready != policystatus.IsReady(stored) ||
			firstSeen != wantFirst || firstSeen != policystatus.FirstSeenVersion(stored) {
			t.Errorf("a status %s: ready %t, first seen at %q", sentence, ready, firstSeen)
		}
		read, err := informers.WithSpec(cached)
		if err != nil {
			t.Fatal(err)
		}
		delete(stored.Object, "status")
		if diff := cmp.Diff(stored.Object, read.Object); diff != "" {
			t.Errorf("beside a status %s (-want +got):\n%s", sentence, diff)
		}
	}
}
