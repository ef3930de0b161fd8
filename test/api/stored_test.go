package api

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

func TestTheDefaultModeIsVisibleInTheStoredObject(t *testing.T) {
	object := readObject(t, "testdata/good/allow-one-domain.yaml")
	if err := create(t, kube, object); err != nil {
		t.Fatal(err)
	}
	if mode, _, _ := unstructured.NestedString(object.Object, "spec", "mode"); mode != "Enforce" {
		t.Errorf("the answer to the create has mode %q, want Enforce", mode)
	}
	if mode := stored(t, object).Spec.Mode; mode != v1alpha1.ModeEnforce {
		t.Errorf("the stored mode is %q, want Enforce", mode)
	}
}

func TestAFreshPolicySaysThatNoOperatorHasLookedAtIt(t *testing.T) {
	object := readObject(t, "testdata/good/allow-one-domain.yaml")
	// A client cannot set status together with spec.
	if err := unstructured.SetNestedField(object.Object, int64(7), "status", "observedGeneration"); err != nil {
		t.Fatal(err)
	}
	if err := create(t, kube, object); err != nil {
		t.Fatal(err)
	}
	status := stored(t, object).Status
	if status.ObservedGeneration != 0 {
		t.Errorf("observedGeneration is %d, want none", status.ObservedGeneration)
	}
	if len(status.Conditions) != 2 {
		t.Fatalf("conditions %v, want two", status.Conditions)
	}
	for i, want := range []v1alpha1.ConditionType{v1alpha1.ConditionAccepted, v1alpha1.ConditionReady} {
		condition := status.Conditions[i]
		if condition.Type != string(want) || condition.Status != metav1.ConditionUnknown ||
			condition.Reason != string(v1alpha1.ReasonPending) {
			t.Errorf("condition %+v, want %s=Unknown/Pending", condition, want)
		}
	}
	if message := status.Conditions[0].Message; !strings.Contains(message, "--watch-namespaces") {
		t.Errorf("the message %q does not say where to look", message)
	}
}

// For a client that does not ask for field validation, the API server drops misspelt fields. The rest of the policy
// must not allow more than the author meant.
func TestDroppedFieldsNeverWiden(t *testing.T) {
	const head = "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\n" +
		"metadata: {name: misspelt}\nspec:\n"
	cases := map[string]struct{ spec, refuse string }{
		"a misspelt member of appliesTo does not make the policy apply to every call": {
			"  appliesTo: {source: [reg1]}\n  allow: {domains: [acme.com]}\n", "spec.appliesTo: Invalid value",
		},
		"a misspelt list of allow leaves no allow": {
			"  allow: {domain: [acme.com]}\n  deny: {domains: [ru]}\n", "spec.allow: Invalid value",
		},
		"a misspelt list of deny leaves no deny": {
			"  allow: {domains: [acme.com]}\n  deny: {domain: [x.acme.com]}\n", "spec.deny: Invalid value",
		},
		"a policy of misspelt rules says nothing": {
			"  allows: {domains: [acme.com]}\n", "a policy must allow or deny something",
		},
		"null is not every call": {
			"  appliesTo: {sources: null}\n  allow: {domains: [acme.com]}\n", "spec.appliesTo",
		},
		"null is not a value": {
			"  allow: {domains: [acme.com]}\n  profile: [{attribute: a, value: null}]\n",
			"spec.profile[0].value: Required value",
		},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			err := create(t, lax, parseObject(t, []byte(head+c.spec)))
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("got %v, want an error with %q", err, c.refuse)
			}
		})
	}
}

func TestProfileValuesAreStoredAsTheyAreWritten(t *testing.T) {
	object := readObject(t, "testdata/good/profile-values.yaml")
	if err := create(t, kube, object); err != nil {
		t.Fatal(err)
	}
	got := map[v1alpha1.AttributeName]string{}
	for _, attribute := range stored(t, object).Spec.Profile {
		got[attribute.Attribute] = string(attribute.Value.Raw)
	}
	want := map[v1alpha1.AttributeName]string{
		"userType": `"Partner"`, "a_1": `7`, "ratio": `-0.5`, "contractor": `true`, "agreed": `false`,
		"groups": `["a","b"]`, "none": `[]`, "blank": `""`, "emails": `"x"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}
