package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/config/crd"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

// elsewhere is a source of calls other than the default of [oktasim.Registration].
const elsewhere = "rulElsewhere"

var notEnforceable = answer{Outcome: oktasim.Denied, Reason: string(rules.ReasonPolicyNotEnforceable)}

// define stores this operator's CustomResourceDefinition with a change to the schemas of spec and status, and waits
// until the API server uses it. For about a second, the API server serves existing watches by the earlier schema; then
// it ends them.
func (c *cluster) define(t *testing.T, change func(spec, status *apiextensionsv1.JSONSchemaProps)) {
	t.Helper()
	wanted := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(crd.RegistrationPolicies, wanted); err != nil {
		t.Fatal(err)
	}
	root := wanted.Spec.Versions[0].Schema.OpenAPIV3Schema
	spec, status := root.Properties["spec"], root.Properties["status"]
	change(&spec, &status)
	root.Properties["spec"], root.Properties["status"] = spec, status
	direct := c.direct(t)
	earlier, err := direct.Watch(t.Context(), &v1alpha1.RegistrationPolicyList{}, client.InNamespace(namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer earlier.Stop()
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		stored := &apiextensionsv1.CustomResourceDefinition{}
		if err := direct.Get(t.Context(), client.ObjectKeyFromObject(wanted), stored); err != nil {
			return err
		}
		stored.Spec = wanted.Spec
		return direct.Update(t.Context(), stored)
	}); err != nil {
		t.Fatal(err)
	}
	ended := time.After(patience)
	for open := true; open; {
		select {
		case _, open = <-earlier.ResultChan():
		case <-ended:
			t.Fatalf("the API server has not taken up the definition within %s", patience)
		}
	}
}

func unchanged(_, _ *apiextensionsv1.JSONSchemaProps) {}

// newer adds fields to spec and spec.deny that this operator does not know.
func newer(spec, _ *apiextensionsv1.JSONSchemaProps) {
	spec.Properties["requireApproval"] = apiextensionsv1.JSONSchemaProps{Type: "boolean"}
	deny := spec.Properties["deny"]
	deny.Properties["networks"] = apiextensionsv1.JSONSchemaProps{
		Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{Type: "string"}},
	}
}

// older removes fields of spec, spec.deny and status that this operator knows.
func older(spec, status *apiextensionsv1.JSONSchemaProps) {
	deny := spec.Properties["deny"]
	delete(deny.Properties, "addresses")
	for i := range deny.XValidations {
		deny.XValidations[i].Rule = "has(self.domains) || has(self.lists)"
	}
	spec.Properties["deny"] = deny
	delete(status.Properties, "observedGeneration")
}

// direct returns a client that reads from the API server without a cache, and that knows CustomResourceDefinitions.
func (c *cluster) direct(t *testing.T) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	direct, err := client.NewWithWatch(c.plane.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return direct
}

// written returns a policy with a spec in YAML, which may have fields that this operator does not know.
func written(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicy"))
	object.SetNamespace(namespace)
	object.SetName(name)
	var members map[string]any
	if err := yaml.UnmarshalStrict([]byte(spec), &members); err != nil {
		t.Fatal(err)
	}
	object.Object["spec"] = members
	return object
}

// registerAt makes a registration from a source.
func (op *operator) registerAt(t *testing.T, source, address string) answer {
	t.Helper()
	result, err := op.okta(t, nil).Register(t.Context(), oktasim.Registration{Source: source, Email: address})
	if err != nil {
		t.Fatal(err)
	}
	a := answerOf(t, result)
	a.Text = "" // it contains the decision's id, which is different in each answer
	return a
}

func (op *operator) awaitAt(t *testing.T, source, address string, want answer) {
	t.Helper()
	fixture.Await(t, address+" at "+source+" answered "+want.Reason, func() bool { return op.registerAt(t, source, address) == want })
}

// acceptedIs waits until the condition Accepted has this reason, and returns its message.
func (c *cluster) acceptedIs(t *testing.T, name, reason string) string {
	t.Helper()
	var message string
	fixture.Await(t, name+" "+reason, func() bool {
		stored := policy(t, name, "{}")
		if err := c.client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(stored.Status.Conditions, func(condition metav1.Condition) bool {
			message = condition.Message
			return condition.Type == string(v1alpha1.ConditionAccepted) && condition.Reason == reason &&
				condition.ObservedGeneration == stored.Generation
		})
	})
	return message
}

// During an upgrade, or after a rollback that leaves the CustomResourceDefinition, a policy may have a field that the
// operator does not know. The calls to which this policy applies are then denied, by a running replica and by one that
// starts. Nothing else changes.
func TestUnderANewerDefinitionAPolicyWithANewMemberDeniesTheCallsThatItAppliesTo(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	running := startReady(t, c.inCluster(t)...)
	running.awaitAt(t, "rul1", "jo@acme.com", allowed)

	c.define(t, newer)
	const spec = `{appliesTo: {sources: [` + elsewhere + `]}, allow: {domains: [later.example]}, requireApproval: true}`
	later := written(t, "later", spec)
	if err := c.direct(t).Create(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	running.awaitAt(t, elsewhere, "jo@acme.com", notEnforceable)
	started := startReady(t, c.inCluster(t)...)
	for about, op := range map[string]*operator{"running": running, "started": started} {
		if got := op.registerAt(t, elsewhere, "jo@acme.com"); got != notEnforceable {
			t.Errorf("%s: a call that the policy applies to: %+v, want %+v", about, got, notEnforceable)
		}
		if got := op.registerAt(t, "rul1", "jo@acme.com"); got != allowed {
			t.Errorf("%s: a call that it does not apply to: %+v, want %+v", about, got, allowed)
		}
	}
	if message := c.acceptedIs(t, "later", "NotUnderstood"); !strings.Contains(message, "spec.requireApproval") {
		t.Errorf("the condition does not name the member: %s", message)
	}
	if got := c.condition(t, "acme"); got.Reason != "Accepted" {
		t.Errorf("a policy without it: %s", got.Reason)
	}

	// The way back: first remove the unknown field from the policies.
	back := client.RawPatch(types.JSONPatchType, []byte(`[{"op": "remove", "path": "/spec/requireApproval"}]`))
	if err := c.direct(t).Patch(t.Context(), later, back); err != nil {
		t.Fatal(err)
	}
	running.awaitAt(t, elsewhere, "jo@acme.com", allowed)
	started.awaitAt(t, elsewhere, "jo@acme.com", allowed)
	c.acceptedIs(t, "later", "Accepted")
}

// The API server drops fields that an older CustomResourceDefinition does not know before it stores a policy. A client
// that asks for strict field validation, as kubectl does, gets an error.
func TestAnOlderDefinitionDropsWhatItDoesNotKnowAndTellsWhoWritesStrictly(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.define(t, older)
	const spec = `{allow: {domains: [acme.com]}, deny: {domains: [beta.example], addresses: [eve@acme.com]}}`
	direct := c.direct(t)

	strict := client.WithFieldValidation(direct, client.FieldValidation(metav1.FieldValidationStrict))
	if err := strict.Create(t.Context(), written(t, "acme", spec)); err == nil || !strings.Contains(err.Error(), "spec.deny.addresses") {
		t.Errorf("written strictly: %v", err)
	}
	applied := client.ApplyConfigurationFromUnstructured(written(t, "acme", spec))
	if err := direct.Apply(t.Context(), applied, client.FieldOwner("test")); err == nil || !strings.Contains(err.Error(), "spec.deny.addresses") {
		t.Errorf("applied by the server: %v", err)
	}
	if err := direct.Create(t.Context(), written(t, "acme", spec)); err != nil {
		t.Fatal(err)
	}
	op := startReady(t, c.inCluster(t)...)
	op.awaitAt(t, "rul1", "eve@acme.com", allowed) // because the denial was dropped
	op.awaitAt(t, "rul1", "jo@beta.example", answer{Outcome: oktasim.Denied, Reason: string(rules.ReasonDenied)})

	// The operator cannot write a status with a field that this definition does not know. The status stays unchanged,
	// and the log says so.
	fixture.Await(t, "a line about the status", func() bool { return strings.Contains(op.log.String(), "apply status: ") })
	stored := written(t, "acme", "{}")
	if err := direct.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
		t.Fatal(err)
	}
	conditions, _, _ := unstructured.NestedSlice(stored.Object, "status", "conditions")
	for _, condition := range conditions {
		if condition.(map[string]any)["reason"] != "Pending" {
			t.Errorf("status under the older definition: %v", condition)
		}
	}

	// With the current definition the operator writes the status again. The dropped fields do not come back: the policy
	// must be applied again.
	c.define(t, unchanged)
	c.acceptedIs(t, "acme", "Accepted")
	if err := direct.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := unstructured.NestedSlice(stored.Object, "spec", "deny", "addresses"); found {
		t.Error("what was dropped is there again")
	}
}

// If the definition is replaced by an older one, the API server keeps fields that it does not know, but does not serve
// them, not even denials. So the manual says to leave the definition when the operator is rolled back. This test shows
// what it warns of.
func TestADefinitionThatIsTakenBackHidesWhatIsStoredUntilItIsThereAgain(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}, deny: {domains: [beta.example], addresses: [eve@acme.com]}}`)
	denied := answer{Outcome: oktasim.Denied, Reason: string(rules.ReasonDenied)}
	startReady(t, c.inCluster(t)...).awaitAt(t, "rul1", "eve@acme.com", denied)

	c.define(t, older)
	startReady(t, c.inCluster(t)...).awaitAt(t, "rul1", "eve@acme.com", allowed)

	c.define(t, unchanged)
	startReady(t, c.inCluster(t)...).awaitAt(t, "rul1", "eve@acme.com", denied)
}
