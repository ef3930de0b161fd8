package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/config/crd"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/apiserver"
)

// relaxed is an API server that takes any spec: one of a newer version, one of another operator's, a damaged one.
var relaxed struct {
	once    sync.Once
	cluster *apiserver.Cluster
	err     error
}

func relaxedCluster(t *testing.T) *apiserver.Cluster {
	t.Helper()
	relaxed.once.Do(func() {
		relaxed.cluster, relaxed.err = apiserver.Start(&envtest.Environment{
			CRDs: []*apiextensionsv1.CustomResourceDefinition{relax(readDefinition(t))},
		})
	})
	if relaxed.err != nil {
		t.Fatal(relaxed.err)
	}
	return relaxed.cluster
}

func readDefinition(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(crd.RegistrationPolicies, definition); err != nil {
		t.Fatal(err)
	}
	return definition
}

func relax(definition *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	root := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	root.Required = nil
	root.Properties["spec"] = apiextensionsv1.JSONSchemaProps{XPreserveUnknownFields: new(true)}
	return definition
}

const (
	effectAll  = "All calls are denied"
	effectSome = "The calls that it applies to are denied"
	effectNone = "In mode Audit it decides nothing"
)

// odd are specs that this operator does not understand. Beside each there is a policy that allows acme.com to everybody: that
// an odd one takes part must show in what is denied, and nowhere is more allowed.
var odd = map[string]struct {
	spec string
	// The answers to an acme.com address by a call of rul1, and by one of another source.
	ofRul1, ofOther string
	// effect is what the condition says of it, and at the path that it names.
	effect, at string
}{
	"a member of a newer version": {
		`{allow: {domains: [acme.com]}, requireApproval: true}`, notEnforceable, notEnforceable, effectAll, "spec.requireApproval"},
	"a newer member of deny": {
		`{deny: {domains: [beta.example], networks: [{asn: 64500}]}}`,
		notEnforceable, notEnforceable, effectAll, "spec.deny.networks"},
	"a newer member, for some calls": {
		`{appliesTo: {sources: [rul1]}, allow: {domains: [acme.com]}, newer: 1}`, notEnforceable, allowed, effectSome, "spec.newer"},
	"a newer member, for calls of another type": {
		`{appliesTo: {requestTypes: [ProgressiveProfile]}, allow: {domains: [acme.com]}, newer: 1}`,
		allowed, allowed, effectSome, "spec.newer"},
	"a newer member in Audit": {
		`{mode: Audit, allow: {domains: [acme.com]}, newer: 1}`, allowed, allowed, effectNone, "spec.newer"},
	"a newer way to say which calls": {
		`{appliesTo: {sources: [rul1], apps: [a]}, allow: {domains: [acme.com]}}`,
		notEnforceable, notEnforceable, effectAll, "spec.appliesTo.apps"},
	"a request type of a newer version": {
		`{appliesTo: {requestTypes: [Invitation], sources: [rul1]}, allow: {domains: [acme.com]}}`,
		notEnforceable, notEnforceable, effectAll, "spec.appliesTo.requestTypes[0]"},
	"appliesTo is null": {
		`{appliesTo: null, allow: {domains: [acme.com]}}`, notEnforceable, notEnforceable, effectAll, "spec.appliesTo"},
	"appliesTo is empty": {
		`{appliesTo: {}, allow: {domains: [acme.com]}, newer: 1}`, notEnforceable, notEnforceable, effectAll, "spec.newer"},
	"appliesTo is a list": {
		`{appliesTo: [rul1], allow: {domains: [acme.com]}}`, notEnforceable, notEnforceable, effectAll, "spec.appliesTo"},
	"sources is text": {
		`{appliesTo: {sources: rul1}, allow: {domains: [acme.com]}}`,
		notEnforceable, notEnforceable, effectAll, "spec.appliesTo.sources"},
	"an empty list of sources": {
		`{appliesTo: {sources: []}, allow: {domains: [acme.com]}}`,
		notEnforceable, notEnforceable, effectAll, "spec.appliesTo.sources"},
	"a mode that nobody knows": {
		`{mode: Warn, allow: {domains: [acme.com]}}`, notEnforceable, notEnforceable, effectAll, "spec.mode"},
	"a mode that nobody knows, for some calls": {
		`{mode: Warn, appliesTo: {sources: [rul1]}, allow: {domains: [acme.com]}}`, notEnforceable, allowed, effectSome, "spec.mode"},
	"a mode in another case": {
		`{mode: audit, allow: {domains: [acme.com]}}`, notEnforceable, notEnforceable, effectAll, "spec.mode"},
	"mode is a list": {
		`{mode: [Audit], allow: {domains: [acme.com]}}`, notEnforceable, notEnforceable, effectAll, "spec.mode"},
	"domains is text": {
		`{allow: {domains: acme.com}}`, notEnforceable, notEnforceable, effectAll, "spec.allow.domains"},
	"an address for a key": {
		`{allow: {domains: {"{local}@acme.com": true}}}`, notEnforceable, notEnforceable, effectAll, "spec.allow.domains"},
	"an address for a field": {
		`{allow: {domains: [acme.com], "{local}@acme.com": true}}`, notEnforceable, notEnforceable, effectAll, "spec.allow.…"},
	"an address of no good shape": {
		`{allow: {addresses: ["{local}@@acme.com", "{local}@acme.com"]}}`,
		notEnforceable, notEnforceable, effectAll, "spec.allow.addresses[0]"},
	"an address twice": {
		`{deny: {addresses: ["{local}@beta.example", "{local}@beta.example"]}}`,
		notEnforceable, notEnforceable, effectAll, "spec.deny.addresses[1]"},
	"an address for a mode": {
		`{mode: "{local}@acme.com", allow: {domains: [acme.com]}}`, notEnforceable, notEnforceable, effectAll, "spec.mode"},
	"an address for an object": {
		`{allow: "{local}@acme.com"}`, notEnforceable, notEnforceable, effectAll, "spec.allow"},
	"an address for the spec": {
		`"{local}@acme.com"`, notEnforceable, notEnforceable, effectAll, "spec"},
	"neither allow nor deny": {
		`{message: No.}`, notEnforceable, notEnforceable, effectAll, "spec"},
	"allow is empty, as after a member was dropped": {
		`{allow: {}}`, notEnforceable, notEnforceable, effectAll, "spec.allow"},
	"an attribute that must not be set": {
		`{allow: {domains: [acme.com]}, profile: [{attribute: login, value: "{local}@acme.com"}]}`,
		notEnforceable, notEnforceable, effectAll, "spec.profile[0].attribute"},
	"an attribute's value is an object": {
		`{allow: {domains: [acme.com]}, profile: [{attribute: a, value: {"{local}@acme.com": 1}}]}`,
		notEnforceable, notEnforceable, effectAll, "spec.profile[0].value"},
	"spec is a list":   {`[]`, notEnforceable, notEnforceable, effectAll, "spec"},
	"spec is a number": {`7`, notEnforceable, notEnforceable, effectAll, "spec"},
	"no spec":          {``, notEnforceable, notEnforceable, effectAll, "spec"},
	"an empty spec":    {`{}`, notEnforceable, notEnforceable, effectAll, "spec"},
}

const (
	allowed        = "ALLOW Allowed"
	notEnforceable = "DENY PolicyNotEnforceable"
)

func TestWhatIsNotUnderstoodWidensNothing(t *testing.T) {
	c := relaxedCluster(t)
	for sentence, policy := range odd {
		t.Run(sentence, func(t *testing.T) {
			namespace := c.Namespace(t)
			c.Apply(t, namespace, "good", `{allow: {domains: [acme.com]}}`)
			if err := c.Kube.Create(t.Context(), policyObject(t, namespace, "odd", policy.spec)); err != nil {
				t.Fatal(err)
			}
			f := newRulesFixture(t, c.Config, namespace)
			f.reconcile(t)
			for source, want := range map[string]string{"rul1": policy.ofRul1, "rul2": policy.ofOther} {
				if got := answerTo(f.store, signUp(localPart+"@acme.com", source)); got != want {
					t.Errorf("a call of %s: %s, want %s", source, got, want)
				}
			}
			if !strings.Contains(f.log.String(), `level=ERROR msg="Policy not understood"`) {
				t.Error("no log line says so")
			}
			if got, want := unenforceable(t, f.store), []rules.Mode{modeOf(policy.effect)}; !slices.Equal(got, want) {
				t.Errorf("modes of the policies that are not understood: %v, want %v", got, want)
			}

			status := newStatusFixture(t, c, false)
			status.reconcile(t, namespace, "odd")
			_, got := statusOf(t, c, namespace, "odd")
			if got.status != "False" || got.reason != "NotUnderstood" || !strings.Contains(got.message, policy.effect) ||
				!strings.Contains(got.message, ": "+policy.at+": ") {
				t.Errorf("condition %+v, want NotUnderstood, %q, and %s", got, policy.effect, policy.at)
			}
			for _, text := range append(status.announced(), got.message, status.log.String(), f.log.String()) {
				if mark := holdsLocalPart(text); mark != "" {
					t.Errorf("%q holds the local part", text)
				}
			}
		})
	}
}

func modeOf(effect string) rules.Mode {
	if effect == effectNone {
		return rules.Audit
	}
	return rules.Enforce
}

// unenforceable returns the modes of the policies in force that are not understood.
func unenforceable(t *testing.T, store *rules.Store) []rules.Mode {
	t.Helper()
	snapshot, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	var modes []rules.Mode
	for _, policy := range snapshot.Policies() {
		if !policy.Enforceable {
			modes = append(modes, policy.Mode)
		}
	}
	return modes
}

// A typed informer never syncs past an object that does not decode. This one must, before and after it has begun.
func TestWhatIsNotUnderstoodStopsNobodyElse(t *testing.T) {
	c := relaxedCluster(t)
	namespace := c.Namespace(t)
	sentences := slices.Sorted(maps.Keys(odd))
	name := func(i int) string { return fmt.Sprintf("odd-%d", i) }
	create := func(from, to int) {
		for i := from; i < to; i++ {
			if err := c.Kube.Create(t.Context(), policyObject(t, namespace, name(i), odd[sentences[i]].spec)); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Apply(t, namespace, "good", `{allow: {domains: [acme.com]}}`)
	create(0, len(odd)/2)
	r := startReplica(t, c.Config, namespace, "alone")
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", notEnforceable)
	create(len(odd)/2, len(odd))
	// A denial is told from what cannot be enforced: later changes of the good policy come through.
	c.Apply(t, namespace, "good", `{deny: {domains: [acme.com]}}`)
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "DENY Denied")
	eventually(t, within, func() string { return lacksCondition(t, c, namespace, "good", "True", "Accepted") })
	for i := range sentences {
		eventually(t, within, func() string { return lacksCondition(t, c, namespace, name(i), "False", "NotUnderstood") })
	}
	// With the last one gone, all is as if they had never been.
	for i := range sentences {
		c.Remove(t, namespace, name(i))
	}
	c.Apply(t, namespace, "good", `{allow: {domains: [acme.com]}}`)
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", allowed)
}

// A roll-back: what a newer version stored is served, and its status written, under the schema of today.
func TestAnOlderSchemaOverNewerObjects(t *testing.T) {
	c := relaxedCluster(t)
	namespace := c.Namespace(t)
	stored := map[string]string{
		"text":    `{allow: {domains: "{local}@acme.com"}}`,
		"shape":   `{allow: {domains: {"{local}@acme.com": true}}}`,
		"address": `{allow: {addresses: ["{local}@@acme.com"]}}`,
		"mode":    `{mode: "{local}@acme.com", allow: {domains: [acme.com]}}`,
	}
	for name, spec := range stored {
		if err := c.Kube.Create(t.Context(), policyObject(t, namespace, name, spec)); err != nil {
			t.Fatal(err)
		}
	}
	replaceSchema(t, c, readDefinition(t))
	defer replaceSchema(t, c, relax(readDefinition(t)))
	// The new schema is in force as soon as the API server refuses what it took before.
	eventually(t, within, func() string {
		probe := policyObject(t, namespace, "probe", `{mode: Warn, allow: {domains: [acme.com]}}`)
		if err := c.Kube.Create(t.Context(), probe, client.DryRunAll); err == nil {
			return "the API server still takes any spec"
		}
		return ""
	})
	f := newRulesFixture(t, c.Config, namespace)
	f.reconcile(t)
	wantAnswer(t, f.store, localPart+"@acme.com", notEnforceable)
	status := newStatusFixture(t, c, false)
	for name := range stored {
		_, err := status.reconciler.Reconcile(t.Context(), requestFor(namespace, name))
		if err == nil {
			if problem := lacksCondition(t, c, namespace, name, "False", "NotUnderstood"); problem != "" {
				t.Errorf("%s: %s", name, problem)
			}
		} else if mark := holdsLocalPart(err.Error()); mark != "" { // server-side apply cannot do with every shape
			t.Errorf("%s: the error holds the local part: %v", name, err)
		}
		c.Remove(t, namespace, name)
	}
}

func replaceSchema(t *testing.T, c *apiserver.Cluster, wanted *apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	scheme, err := apiserver.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	direct, err := client.New(c.Config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
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
}
