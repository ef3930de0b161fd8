package install

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/fixture"
)

const (
	// The names of what config/default installs. A release of the chart with these names must be the same.
	kustomizeName      = "registration-policy-operator"
	kustomizeNamespace = "registration-policy"
)

// where names an object within a cluster.
func where(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

// essence returns an object without its labels and Helm's annotation, which only one of Helm and kustomize writes.
func essence(object *unstructured.Unstructured) map[string]any {
	object = object.DeepCopy()
	object.SetLabels(nil)
	annotations := object.GetAnnotations()
	delete(annotations, "helm.sh/resource-policy")
	delete(annotations, "argocd.argoproj.io/sync-options")
	object.SetAnnotations(annotations)
	return object.Object
}

func byPlace(objects []*unstructured.Unstructured) map[string]map[string]any {
	found := map[string]map[string]any{}
	for _, object := range objects {
		found[where(object)] = essence(object)
	}
	return found
}

// kustomize builds everything that an installation applies: the namespace, the CustomResourceDefinition, and the rest.
func kustomize(t *testing.T) string {
	t.Helper()
	var all []string
	for _, part := range []string{"namespace", "crd", "default"} {
		text, err := output(program(t, "kubectl"), "kustomize", filepath.FromSlash(repository+"/config/"+part))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n---\n")
}

// Deleting what config/default installs must not delete the policies.
func TestDeletingTheKustomizationLeavesThePolicies(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	c := r.cluster
	c.namespace(t, kustomizeNamespace)
	c.secret(t, kustomizeNamespace, "registration-hook-auth", map[string]string{hookKey: hookCredential})
	r.runMarked(t, markOwn)
	fixture.Eventually(t, patience, func() string { // the API server serves the definition after a moment
		if _, err := output(program(t, "kubectl"), "get", "regpol", "--kubeconfig", c.kubeconfig); err != nil {
			return err.Error()
		}
		return ""
	})
	r.write(t, "policy.yaml", `{apiVersion: registrationpolicy.dev/v1alpha1, kind: RegistrationPolicy,
 metadata: {name: acme, namespace: registration-policy}, spec: {allow: {domains: [acme.com]}}}`)
	c.kubectl(t, "apply", "-f", filepath.Join(r.dir, "policy.yaml"))
	r.runMarked(t, markOwnEnd)
	c.kubectl(t, "--namespace", kustomizeNamespace, "get", "regpol/acme", "secret/registration-hook-auth")
	c.kubectl(t, "get", "namespace/"+kustomizeNamespace, "crd/"+crdName)
	kinds := "deployment,service,serviceaccount,role,rolebinding,networkpolicy,pdb"
	left := c.kubectl(t, "--namespace", kustomizeNamespace, "get", kinds, "-o", "name")
	if left != "" && left != "serviceaccount/default\n" {
		t.Errorf("after the uninstallation there is still:\n%s", left)
	}
}

func TestKustomizeInstallsWhatTheChartDoesAtItsDefaults(t *testing.T) {
	built, err := parseObjects(kustomize(t))
	if err != nil {
		t.Fatal(err)
	}
	rendered := byPlace(mustRender(t, kustomizeName, kustomizeNamespace, needed()))
	// The chart does not create the namespace, and only the chart has objects for helm test.
	rendered["Namespace /"+kustomizeNamespace] = essence(find(t, built, "Namespace", kustomizeNamespace))
	delete(rendered, "Pod "+kustomizeNamespace+"/"+kustomizeName+"-call")
	if diff := cmp.Diff(rendered, byPlace(built)); diff != "" {
		t.Errorf("chart (-), config/default (+):\n%s", diff)
	}
}

// config/list-sync is a base for overlays. It must add the same objects as the chart with one synchronised list.
func TestKustomizeSynchronisesListsAsTheChartDoes(t *testing.T) {
	text, err := output(program(t, "kubectl"), "kustomize", filepath.FromSlash(repository+"/config/list-sync"))
	if err != nil {
		t.Fatal(err)
	}
	built, err := parseObjects(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range built {
		object.SetNamespace(kustomizeNamespace)
	}
	without := byPlace(mustRender(t, kustomizeName, kustomizeNamespace, needed()))
	rendered := byPlace(mustRender(t, kustomizeName, kustomizeNamespace, needed().with(settings{
		"listSync.enabled": true, "listSync.lists": given()["listSync.lists"],
	})))
	for place := range without {
		delete(rendered, place)
	}
	for _, object := range built { // set what an overlay sets
		if subjects, found, _ := unstructured.NestedSlice(object.Object, "subjects"); found {
			subjects[0].(map[string]any)["namespace"] = kustomizeNamespace
			_ = unstructured.SetNestedSlice(object.Object, subjects, "subjects")
		}
	}
	if diff := cmp.Diff(rendered, byPlace(built)); diff != "" {
		t.Errorf("chart (-), config/list-sync (+):\n%s", diff)
	}
}

// config/monitoring is a base for overlays. It must add the same objects as the chart with monitoring.
func TestKustomizeIsWatchedAsTheChartIs(t *testing.T) {
	text, err := output(program(t, "kubectl"), "kustomize", filepath.FromSlash(repository+"/config/monitoring"))
	if err != nil {
		t.Fatal(err)
	}
	built, err := parseObjects(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range built {
		object.SetNamespace(kustomizeNamespace)
	}
	without := byPlace(mustRender(t, kustomizeName, kustomizeNamespace, needed()))
	rendered := byPlace(mustRender(t, kustomizeName, kustomizeNamespace, needed().with(settings{
		"metrics.serviceMonitor.enabled": true, "metrics.prometheusRule.enabled": true, "metrics.dashboard.enabled": true,
	})))
	for place := range without {
		delete(rendered, place)
	}
	if diff := cmp.Diff(rendered, byPlace(built)); diff != "" {
		t.Errorf("chart (-), config/monitoring (+):\n%s", diff)
	}
}

func TestTheKustomizeBuildAppliesWithoutAWarning(t *testing.T) {
	c := useChartCluster(t)
	kube, warnings := warned(t, c.config)
	objects, err := parseObjects(kustomize(t))
	if err != nil {
		t.Fatal(err)
	}
	// The Namespace comes first. Pods are made from the Deployments, because PodSecurity checks only pods.
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	for _, object := range objects {
		options := []client.ApplyOption{client.FieldOwner("kustomize"), client.ForceOwnership}
		if object.GetKind() != "Namespace" {
			options = append(options, client.DryRunAll)
		}
		if err := kube.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), options...); err != nil {
			t.Errorf("%s: %v", where(object), err)
		}
		if pod := podOf(object); pod != nil {
			if err := client.NewDryRunClient(kube).Create(t.Context(), pod); err != nil {
				t.Errorf("a Pod of %s: %v", where(object), err)
			}
		}
	}
	for _, warning := range warnings.take() {
		t.Error("warning:", warning)
	}
	var space corev1.Namespace
	if err := c.kube.Get(t.Context(), client.ObjectKey{Name: kustomizeNamespace}, &space); err != nil {
		t.Fatal(err)
	}
	if got := space.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
		t.Errorf("PodSecurity of the namespace is %q, want restricted", got)
	}
}

func rank(object *unstructured.Unstructured) int {
	if object.GetKind() == "Namespace" {
		return 0
	}
	return 1
}

// The chart has copies of some files in config, which hack/generate.sh makes.
func TestTheChartsRightsAreThoseOfConfig(t *testing.T) {
	own := mustRender(t, "try", "okta", needed().with(settings{"fullnameOverride": "hook"}))
	apart := mustRender(t, "try", "okta", needed().with(settings{"fullnameOverride": "hook", "watchNamespaces": []any{"team-a"}}))
	rules := func(objects []*unstructured.Unstructured, name string) map[string]any {
		found := map[string]any{}
		list, _, _ := unstructured.NestedSlice(find(t, objects, "Role", name).Object, "rules")
		for _, rule := range list {
			resources, _, _ := unstructured.NestedStringSlice(rule.(map[string]any), "resources")
			for _, resource := range resources {
				found[resource] = rule.(map[string]any)["verbs"]
			}
		}
		return found
	}
	split := rules(apart, "hook")
	ofReplicas := []string{"endpointslices", "leases", "pods"}
	if got := slices.Sorted(maps.Keys(split)); !slices.Equal(got, ofReplicas) {
		t.Errorf("in a namespace that is not watched the operator has rights to %v, want %v", got, ofReplicas)
	}
	there := rules(apart, "okta.hook")
	for _, resource := range ofReplicas {
		if there[resource] != nil {
			t.Errorf("the operator has a right to %s in a namespace that it only watches", resource)
		}
	}
	maps.Copy(split, there)
	if diff := cmp.Diff(rules(own, "hook"), split); diff != "" {
		t.Errorf("rights in one namespace (-), in two (+):\n%s", diff)
	}
}
