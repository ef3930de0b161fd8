package build

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// cached returns a policy that allows a domain, as the informers cache it.
func cached(t *testing.T, domain string) *unstructured.Unstructured {
	t.Helper()
	object := policyobject.New()
	object.SetName("acme")
	object.SetUID("1")
	object.SetGeneration(1)
	object.Object["spec"] = map[string]any{"allow": map[string]any{"domains": []any{domain}}}
	if err := informers.Compact(object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestABuildHasThePolicyOfItsOwnVersionOnly(t *testing.T) {
	object := cached(t, "acme.com")
	policy := &publish.Policy{}
	built := (&Namespace{}).replace([]*builtPolicy{{name: "acme", cached: object, Policy: policy}})
	if got, ok := built.Policy(object); !ok || got != policy {
		t.Errorf("the version that was built: %v, %v", got, ok)
	}
	// The same generation: the CustomResourceDefinition may have changed in between.
	if _, ok := built.Policy(cached(t, "other.example")); ok {
		t.Error("a policy was returned for a spec that was not built")
	}
	if _, ok := (&Namespace{}).Policy(object); ok {
		t.Error("a policy was returned before the first build")
	}
}

func TestTheDenialOfARefusedNamespaceReplacesAllPolicies(t *testing.T) {
	denial := &publish.Policy{Refused: "too many"}
	refused := &Namespace{refused: denial}
	if got, ok := refused.Policy(cached(t, "acme.com")); !ok || got != denial {
		t.Errorf("the policy of an object: %v, %v; want the denial", got, ok)
	}
	if got := refused.Policies(); len(got) != 1 || got[0] != denial {
		t.Errorf("the policies are %v, want the denial alone", got)
	}
	if refused.Equal(&Namespace{}) || !refused.Equal(&Namespace{refused: denial}) {
		t.Error("builds are compared by something else than the denial")
	}
}

func TestListsAreTheSameIfTheirContentsAre(t *testing.T) {
	list := &rules.List{}
	named := func(list *rules.List) *rules.Policy {
		policy := &rules.Policy{}
		policy.Deny.Lists = []rules.ListUse{{Name: "bad", List: list}}
		return policy
	}
	if !SameLists(named(list), named(list)) {
		t.Error("the same list differs")
	}
	if SameLists(named(list), named(nil)) {
		t.Error("a missing list is taken for one that exists")
	}
}
