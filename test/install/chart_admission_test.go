package install

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

const (
	// The namespaces of the warnings: one that the release watches, and another.
	warnedNamespace, otherNamespace = "warned", "not-warned"

	everybody = `spec.allow.domains has "*" and the policy denies nothing`
)

func mailbox(domains string) string {
	return "spec.allow.domains has " + domains + ": anybody can get an address there"
}

func TestKubectlApplyWarnsOfWhatIsLegalButUsuallyWrongAndRefusesNothing(t *testing.T) {
	c := useChartCluster(t)
	c.namespace(t, warnedNamespace)
	c.namespace(t, otherNamespace)
	installWarnings(t, c)
	kube, warnings := warned(t, c.config)
	dry := client.NewDryRunClient(kube)

	// The API server applies a new admission policy after a moment.
	fixture.Eventually(t, patience, func() string {
		if err := dry.Create(t.Context(), policy(t, warnedNamespace, `{allow: {domains: [gmail.com]}}`)); err != nil {
			t.Fatal(err)
		}
		if len(warnings.take()) == 0 {
			return "no warning yet"
		}
		return ""
	})
	for name, test := range map[string]struct {
		spec string
		want []string // a text in each warning
	}{
		"a public mail provider":              {`{allow: {domains: [acme.com, gmail.com]}}`, []string{mailbox("gmail.com")}},
		"several of them":                     {`{allow: {domains: [outlook.com, proton.me]}}`, []string{mailbox("outlook.com, proton.me")}},
		"in upper case":                       {`{allow: {domains: [GMail.com]}}`, []string{mailbox("gmail.com")}},
		"everything below one":                {`{allow: {domains: ["*.yahoo.com"]}}`, []string{mailbox("*.yahoo.com")}},
		"one in a policy on trial":            {`{mode: Audit, allow: {domains: [gmx.net]}}`, []string{mailbox("gmx.net")}},
		"everybody":                           {`{allow: {domains: ["*"]}}`, []string{everybody}},
		"both":                                {`{allow: {domains: ["*", icloud.com]}}`, []string{mailbox("icloud.com"), everybody}},
		"everybody but a few":                 {`{allow: {domains: ["*"]}, deny: {domains: [ru]}}`, nil},
		"a public mail provider denied":       {`{allow: {domains: [acme.com]}, deny: {domains: [gmail.com]}}`, nil},
		"single people at one":                {`{allow: {addresses: [jo@gmail.com]}}`, nil},
		"a domain that ends like one":         {`{allow: {domains: [notgmail.com]}}`, nil},
		"a policy that only denies":           {`{deny: {domains: [gmail.com]}}`, nil},
		"a policy with a public suffix alone": {`{allow: {publicSuffixes: ["*.ac.uk"]}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"create", "update"} {
				object := policy(t, warnedNamespace, test.spec)
				write := func() error { return dry.Create(t.Context(), object) }
				if verb == "update" {
					stored := policy(t, warnedNamespace, `{allow: {domains: [acme.com]}}`)
					if err := kube.Create(t.Context(), stored); err != nil {
						t.Fatal(err)
					}
					object.SetResourceVersion(stored.GetResourceVersion())
					write = func() error { return dry.Update(t.Context(), object) }
				}
				if err := write(); err != nil {
					t.Fatalf("%s is refused: %v", verb, err)
				}
				got := warnings.take()
				if !slices.EqualFunc(got, test.want, strings.Contains) {
					t.Errorf("%s: got warnings %q, want %q", verb, got, test.want)
				}
				if verb == "update" {
					if err := kube.Delete(t.Context(), object); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
	t.Run("in a namespace that the release does not watch", func(t *testing.T) {
		if err := dry.Create(t.Context(), policy(t, otherNamespace, `{allow: {domains: ["*", gmail.com]}}`)); err != nil {
			t.Fatal(err)
		}
		if got := warnings.take(); len(got) > 0 {
			t.Errorf("got warnings %q, want none", got)
		}
	})
	t.Run("the samples", func(t *testing.T) {
		samples := 0
		for _, pattern := range []string{"*.yaml", "*/*.yaml"} {
			files, err := filepath.Glob(filepath.FromSlash(repository + "/config/samples/" + pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				objects, err := parseObjects(string(text))
				if err != nil {
					t.Fatal(err)
				}
				for _, object := range objects {
					if object.GetKind() != "RegistrationPolicy" {
						continue
					}
					samples++
					object.SetNamespace(warnedNamespace)
					if err := dry.Create(t.Context(), object); err != nil {
						t.Errorf("%s: %v", file, err)
					}
					if got := warnings.take(); len(got) > 0 {
						t.Errorf("%s: warnings %q", file, got)
					}
				}
			}
		}
		if samples == 0 {
			t.Error("no samples")
		}
	})
}

// installWarnings applies the CRD, if it is missing, and the chart's admission policy for a release that watches one
// namespace.
func installWarnings(t *testing.T, c *cluster) {
	t.Helper()
	objects := mustRender(t, "try", "okta", needed().with(settings{"watchNamespaces": []any{warnedNamespace}}))
	for _, object := range objects {
		switch object.GetKind() {
		case "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "CustomResourceDefinition":
			if err := c.kube.Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
				t.Fatal(err)
			}
		}
	}
	fixture.Eventually(t, patience, func() string {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion("registrationpolicy.dev/v1alpha1")
		list.SetKind("RegistrationPolicyList")
		if err := c.kube.List(t.Context(), list); err != nil {
			return err.Error()
		}
		return ""
	})
}

// policy returns a RegistrationPolicy with a spec in YAML.
func policy(t *testing.T, namespace, spec string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{}}
	text := "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nspec: " + spec
	if err := yaml.UnmarshalStrict([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetNamespace(namespace)
	object.SetName("try")
	return object
}

// Check each provider in the list. Otherwise nobody would notice a misspelt one.
func TestEveryMailProviderOfTheWarningsIsADomain(t *testing.T) {
	objects := mustRender(t, "try", "okta", needed())
	warning := find(t, objects, "ValidatingAdmissionPolicy", "okta.try-registration-policy-operator")
	variables, _, err := unstructured.NestedSlice(warning.Object, "spec", "variables")
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range variables {
		variable := variable.(map[string]any)
		if variable["name"] != "mailboxes" {
			continue
		}
		var domains []string
		if err := yaml.Unmarshal([]byte(variable["expression"].(string)), &domains); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, domain := range domains {
			if parsed, err := rules.ParseDomain(domain); err != nil || parsed.String() != domain || seen[domain] {
				t.Errorf("%q: twice, not in canonical form, or not a domain (%v)", domain, err)
			}
			seen[domain] = true
		}
		for _, must := range []string{"gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com", "proton.me", "gmx.com"} {
			if !seen[must] {
				t.Errorf("%s is missing from %v", must, slices.Sorted(maps.Keys(seen)))
			}
		}
		return
	}
	t.Error("no variable mailboxes")
}
