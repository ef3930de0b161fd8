package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/test/fixture"
)

const (
	listsPage = "docs/policies/lists.md"
	// component is the line by which a kustomization of the page uses a copy of config/lists.
	component = "components: [lists]"
)

// generatedLists writes the kustomization of the page with a policy and a list, and builds it.
func generatedLists(t *testing.T, dir, kustomization, entries string) (policy, list *unstructured.Unstructured) {
	t.Helper()
	for name, text := range map[string]string{
		"kustomization.yaml": kustomization, "throw-away.txt": entries, "permanent-addresses.yaml": `
apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: permanent-addresses}
spec:
  allow:
    domains: [acme.com]
    lists:
    - configMap: {name: throw-away}
    - name: by-hand
      configMap: {name: not-generated}
      optional: true
  deny:
    lists:
    - configMap: {name: throw-away, key: entries}
    - name: more
      configMap: {name: throw-away}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := output(program(t, "kubectl"), "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := parseObjects(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		switch object.GetKind() {
		case "RegistrationPolicy":
			policy = object
		case "ConfigMap":
			list = object
		}
	}
	if policy == nil || list == nil {
		t.Fatalf("kustomize builds\n%s", text)
	}
	return policy, list
}

// kustomizationOfPage returns the kustomization that the page shows, and a directory with a copy of config/lists, as the page
// says.
func kustomizationOfPage(t *testing.T) (dir, text string) {
	t.Helper()
	for _, b := range blocks(t, listsPage) {
		if strings.Contains(b.text, "configMapGenerator") {
			text = b.text
		}
	}
	if !strings.Contains(text, component) {
		t.Fatalf("%s shows no kustomization with %s", listsPage, component)
	}
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "lists"), os.DirFS(filepath.FromSlash(repository+"/config/lists"))); err != nil {
		t.Fatal(err)
	}
	return dir, text
}

// namesOf returns the names of ConfigMaps in a policy's field.
func namesOf(policy *unstructured.Unstructured, field string) []string {
	var names []string
	for _, name := range below([]any{policy.Object}, "spec", field, "lists", "configMap", "name") {
		names = append(names, name.(string))
	}
	return names
}

func TestKustomizesGeneratedNamesAreFollowedIntoPolicies(t *testing.T) {
	dir, kustomization := kustomizationOfPage(t)
	policy, list := generatedLists(t, dir, kustomization+"namePrefix: acme-\n", "mailinator.com\n")
	name := list.GetName()
	if !strings.HasPrefix(name, "acme-throw-away-") || list.GetLabels()["registrationpolicy.dev/list"] != "true" {
		t.Fatalf("the list is %s with labels %v", name, list.GetLabels())
	}
	if got, want := namesOf(policy, "allow"), []string{name, "not-generated"}; !slices.Equal(got, want) {
		t.Errorf("allow.lists: %v, want %v", got, want)
	}
	if got, want := namesOf(policy, "deny"), []string{name, name}; !slices.Equal(got, want) {
		t.Errorf("deny.lists: %v, want %v", got, want)
	}
	if _, changed := generatedLists(t, dir, kustomization+"namePrefix: acme-\n", "mailinator.com\nyopmail.com\n"); changed.GetName() == name {
		t.Error("another content has the same name: the example proves nothing")
	}
	// Without the component the names would be wrong.
	without := strings.Replace(kustomization, component, "", 1)
	if policy, _ := generatedLists(t, dir, without, "mailinator.com\n"); namesOf(policy, "deny")[0] != "throw-away" {
		t.Errorf("without the component: %v", namesOf(policy, "deny"))
	}
}

// Every field of the schema with the name of a ConfigMap is in the configuration.
func TestTheComponentKnowsEveryFieldWithAConfigMap(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash(repository + "/config/lists/name_reference.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	definition := find(t, mustRender(t, "try", "okta", needed()), "CustomResourceDefinition", crdName)
	var paths []string
	var walk func(at string, node map[string]any)
	walk = func(at string, node map[string]any) {
		if items, ok := node["items"].(map[string]any); ok {
			node = items
		}
		properties, _ := node["properties"].(map[string]any)
		for name, property := range properties {
			if strings.HasSuffix(at, "/configMap") && name == "name" {
				paths = append(paths, strings.TrimPrefix(at, "/")+"/name")
			}
			walk(at+"/"+name, property.(map[string]any))
		}
	}
	for _, schema := range below([]any{definition.Object}, "spec", "versions", "schema", "openAPIV3Schema") {
		walk("", schema.(map[string]any))
	}
	if len(paths) == 0 {
		t.Fatal("the schema has no ConfigMaps")
	}
	for _, path := range paths {
		if !strings.Contains(string(text), "path: "+path+"}") {
			t.Errorf("config/lists does not know %s", path)
		}
	}
	if got := strings.Count(string(text), "path: "); got != len(paths) {
		t.Errorf("config/lists has %d paths, the schema %v", got, paths)
	}
}

// With a running operator: the generated list is found, and a new content comes into force with its new name.
func TestAGeneratedListIsInForce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	startNode(t, c)
	c.namespace(t, released)
	c.secret(t, released, hookSecret, map[string]string{hookKey: hookCredential})
	c.helm(t, "install", "registration-policy-operator", chartDir, "--namespace", released,
		"--set", "replicaCount=1,podDisruptionBudget.enabled=false,auth.existingSecret="+hookSecret)
	dir, kustomization := kustomizationOfPage(t)
	for want, entries := range []string{1: "mailinator.com\n", 2: "mailinator.com\nyopmail.com\n"} {
		if want == 0 {
			continue
		}
		generatedLists(t, dir, kustomization, entries)
		c.kubectl(t, "--namespace", released, "apply", "-k", dir)
		fixture.Eventually(t, patience, func() string {
			var policy v1alpha1.RegistrationPolicy
			if err := c.kube.Get(t.Context(), client.ObjectKey{Namespace: released, Name: "permanent-addresses"}, &policy); err != nil {
				return err.Error()
			}
			for _, list := range policy.Status.Lists {
				if list.Path == "spec.deny.lists[0]" && list.Entries != nil && *list.Entries == int64(want) {
					return ""
				}
			}
			return "no list of so many entries in the status"
		})
	}
}
