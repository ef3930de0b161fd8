package controllers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func TestAWarningShowsByPathAndGoesWhenItIsMended(t *testing.T) {
	const allow, fine = `{allow: {domains: [%s]}}`, "All of the spec is in force."
	for sentence, c := range map[string]struct {
		spec, other string // other is a second policy's; "" for none
		warning     string
		fixed       string // the spec that is right; "" leaves it, and removes the other policy
	}{
		"a mailbox provider": {
			spec: fmt.Sprintf(allow, "acme.com, gmail.com"), fixed: fmt.Sprintf(allow, "acme.com"),
			warning: "spec.allow.domains[1]: gmail.com is a mailbox provider",
		},
		"a wildcard over a shared suffix": {
			spec: `{allow: {publicSuffixes: ["*.ac.uk", "*.github.io"]}}`, fixed: `{allow: {publicSuffixes: ["*.ac.uk"]}}`,
			warning: "spec.allow.publicSuffixes[1]: anybody can have a name below github.io",
		},
		"an entry that is denied": {
			spec: `{allow: {domains: [shop.acme.com]}, deny: {domains: [acme.com]}}`, fixed: fmt.Sprintf(allow, "shop.acme.com"),
			warning: "spec.allow.domains[0]: shop.acme.com is denied by spec.deny.domains[0]",
		},
		"an address that is covered": {
			spec: `{allow: {domains: [acme.com], addresses: ["{local}@acme.com"]}}`, fixed: fmt.Sprintf(allow, "acme.com"),
			warning: "spec.allow.addresses[0]: spec.allow.domains[0] (acme.com) allows all of this already",
		},
		"an entry that another policy denies": {
			spec: fmt.Sprintf(allow, "acme.com"), other: `{deny: {domains: [acme.com]}}`,
			warning: "spec.allow.domains[0]: policy {namespace}/other denies all of this (spec.deny.domains[0])",
		},
		"the same in two policies": {
			spec: fmt.Sprintf(allow, "acme.com"), other: fmt.Sprintf(allow, "acme.com"),
			warning: "spec.allow.domains[0]: policy {namespace}/other allows the same (spec.allow.domains[0])",
		},
		"a look-alike in another policy": {
			spec: fmt.Sprintf(allow, "acme.com"), other: fmt.Sprintf(allow, "acrne.com"),
			warning: "spec.allow.domains[0]: acme.com looks like acrne.com (spec.allow.domains[0] of policy {namespace}/other)",
		},
		"a policy that can never allow": {
			spec: fmt.Sprintf(allow, "acme.com"), other: `{deny: {domains: ["*"]}}`,
			warning: `spec.allow: policy {namespace}/other denies "*"`,
		},
		"everything without a deny": {
			spec: fmt.Sprintf(allow, `"*"`), fixed: `{allow: {domains: ["*"]}, deny: {domains: [ru]}}`,
			warning: `spec.allow.domains[0]: "*" allows every address`,
		},
		"a profile on which two policies disagree": {
			spec:    `{allow: {domains: ["*.acme.com"]}, profile: [{attribute: userType, value: Staff}]}`,
			other:   `{allow: {domains: [shop.acme.com]}, profile: [{attribute: userType, value: Shop}]}`,
			warning: "spec.profile[0]: another value than that of policy {namespace}/other",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.Namespace(t)
			f := newStatusFixture(t, cluster, false)
			cluster.Apply(t, namespace, "one", c.spec)
			if c.other != "" {
				cluster.Apply(t, namespace, "other", c.other)
			}
			f.reconcile(t, namespace, "one")
			_, got := statusOf(t, cluster, namespace, "one")
			want := fine + " Warnings: " + strings.ReplaceAll(c.warning, "{namespace}", namespace)
			if got.status != "True" || got.reason != "AcceptedWithWarnings" || !strings.HasPrefix(got.message, want) {
				t.Errorf("%+v, want %q", got, want)
			}
			if mark := holdsLocalPart(got.message); mark != "" {
				t.Errorf("the message holds the local part: %q", got.message)
			}
			if announced := f.announced(); len(announced) != 1 || !strings.HasPrefix(announced[0], "Normal AcceptedWithWarnings ") {
				t.Errorf("announced %q", announced)
			}
			f.reconcile(t, namespace, "one")
			if f.writes() != 1 {
				t.Errorf("%d writes where nothing changed", f.writes())
			}

			if c.fixed != "" {
				cluster.Apply(t, namespace, "one", c.fixed)
			} else {
				cluster.Remove(t, namespace, "other")
				if _, err := f.reconciler.Reconcile(t.Context(), computeWarningsRequest); err != nil {
					t.Fatal(err)
				}
			}
			f.reconcile(t, namespace, "one")
			if _, got := statusOf(t, cluster, namespace, "one"); got != (condition{"True", "Accepted", fine}) {
				t.Errorf("fixed, it is %+v", got)
			}
		})
	}
}

func TestWhatIsNotInForceComesBeforeWarnings(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newStatusFixture(t, cluster, false)
	cluster.Apply(t, namespace, "one", `{allow: {domains: [co.uk, gmail.com]}}`)
	f.reconcile(t, namespace, "one")
	if _, got := statusOf(t, cluster, namespace, "one"); got.reason != "InvalidEntry" || strings.Contains(got.message, "gmail.com") {
		t.Errorf("%+v", got)
	}
}

func TestAMessageNamesTenWarningsAndCountsTheOthers(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newStatusFixture(t, cluster, false)
	var domains strings.Builder
	for i := range 12 {
		fmt.Fprintf(&domains, "d%d.acme.com, ", i)
	}
	cluster.Apply(t, namespace, "one", `{allow: {domains: [`+domains.String()+`"*.acme.com"]}}`)
	f.reconcile(t, namespace, "one")
	_, got := statusOf(t, cluster, namespace, "one")
	if !strings.Contains(got.message, "; spec.allow.domains[9]: ") || !strings.HasSuffix(got.message, "; and 2 more.") {
		t.Errorf("%+v", got)
	}
}

// The whole way: what changes in one policy is told of the other, and nothing is written more often than it changes.
func TestAPolicyLearnsOfWhatAnotherPolicyChanges(t *testing.T) {
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "one", `{allow: {domains: [acme.com]}}`)
	recorded, config := onTheWire(cluster.Config, nil)
	r := startReplica(t, config, namespace, "first")
	writes := func() int { // but for those that met a newer object, and so wrote nothing
		return len(slices.DeleteFunc(recorded.to(http.MethodPatch, "/status"), func(c call) bool { return c.status == http.StatusConflict }))
	}
	await := func(name, reason string) {
		t.Helper()
		eventually(t, within, func() string { return lacksCondition(t, cluster, namespace, name, "True", reason) })
	}
	await("one", "Accepted")
	cluster.Apply(t, namespace, "two", `{allow: {domains: [acme.com, example.org]}}`)
	await("one", "AcceptedWithWarnings")
	await("two", "AcceptedWithWarnings")
	cluster.Apply(t, namespace, "two", `{allow: {domains: [example.org]}}`)
	await("one", "Accepted")
	await("two", "Accepted")
	cluster.Apply(t, namespace, "three", `{deny: {domains: [acme.com]}}`)
	await("one", "AcceptedWithWarnings")
	cluster.Remove(t, namespace, "three")
	await("one", "Accepted")
	// Of Accepted, one: 5 times. Two: 2 times. Three: once, unless it was gone before. Of Ready and its replicas up to twice more for
	// each of 4 generations: that they are waited for, and that they are there.
	if n := writes(); n < 7 || n > 8+2*4 {
		t.Errorf("%d writes", n)
	}
	r.stop()

	before := writes()
	cluster.Apply(t, namespace, "two", `{allow: {domains: [example.org, acme.com]}}`)
	startReplica(t, config, namespace, "second")
	await("two", "AcceptedWithWarnings")
	await("one", "AcceptedWithWarnings")
	// Of the generation that is new, and of the other that a warning is new.
	if n := writes() - before; n < 2 || n > 2+2 {
		t.Errorf("%d writes in the next term, which knows nothing of the last", n)
	}
}

func TestManyPoliciesShareTheComputationOfTheirWarnings(t *testing.T) {
	const domain = "acme.com"
	objects := make([]unstructured.Unstructured, maxUndelayed+1)
	for i := range objects {
		objects[i] = *policyObject(t, "ns", fmt.Sprint("p", i), fmt.Sprintf(`{allow: {domains: [d%d.test]}}`, i))
		objects[i].SetUID(types.UID(objects[i].GetName()))
		objects[i].SetGeneration(1)
	}
	f := newStatusFixture(t, cluster, false)
	listed := 0
	f.live.list = func() []*unstructured.Unstructured {
		listed++
		var all []*unstructured.Unstructured
		for i := range objects {
			all = append(all, &objects[i])
		}
		return all
	}
	ask := func(i int) (warnings int, wait time.Duration) {
		t.Helper()
		policy := f.reconciler.schema.Convert(t.Context(), &objects[i])
		found, wait := f.reconciler.warnings(&objects[i], &policy)
		return len(found.warnings), wait
	}
	for i := range objects {
		if warnings, wait := ask(i); warnings != 0 || wait != 0 {
			t.Fatalf("%d warnings, wait %s", warnings, wait)
		}
	}
	for i := range 2 {
		objects[i] = *policyObject(t, "ns", fmt.Sprint("p", i), `{allow: {domains: [`+domain+`]}}`)
		objects[i].SetUID(types.UID(objects[i].GetName()))
		objects[i].SetGeneration(2)
	}
	f.reconciler.warningCache.at = time.Now().Add(time.Hour) // just now, however slow this is
	for i := range 2 {
		if warnings, wait := ask(i); warnings != 0 || wait <= 0 {
			t.Errorf("%d warnings, wait %s, a moment after the last time", warnings, wait)
		}
	}
	f.reconciler.warningCache.at = time.Time{}
	for i := range 2 {
		if warnings, wait := ask(i); warnings != 1 || wait != 0 {
			t.Errorf("%d warnings, wait %s", warnings, wait)
		}
	}
	if listed != 2 {
		t.Errorf("computed %d times", listed)
	}
}
