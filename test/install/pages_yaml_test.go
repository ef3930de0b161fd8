package install

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/test/fixture"
)

// released is the namespace in which the pages have their release.
const released = "registration-policy"

// In a cluster with a release of the chart, objects from the pages and samples are admitted and have their effect.
func TestWhatPeopleCopyIsAdmittedAndInForce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	startNode(t, c)
	c.namespace(t, released)
	c.secret(t, released, hookSecret, map[string]string{hookKey: hookCredential})
	c.helm(t, "install", "registration-policy-operator", chartDir, "--namespace", released,
		"--set", "replicaCount=1,podDisruptionBudget.enabled=false,auth.existingSecret="+hookSecret)
	needed, err := neededDefinitions()
	if err != nil {
		t.Fatal(err)
	}
	definitions := append(othersDefinitions(t), needed...)
	if _, err := envtest.InstallCRDs(c.config, envtest.CRDInstallOptions{Paths: definitions}); err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if b.language != "yaml" {
				continue
			}
			t.Run(fmt.Sprintf("%s:%d", page, b.line), func(t *testing.T) {
				objects, err := parseObjects(b.text)
				if err != nil {
					t.Fatal(err)
				}
				for _, object := range objects {
					c.copied(t, object)
				}
			})
		}
	}
	for _, file := range glob(t, "config/samples/*.yaml", "config/samples/*/*.yaml", "config/samples/*/deploy/*.yaml") {
		t.Run(file, func(t *testing.T) {
			for _, object := range read(t, file) {
				c.copied(t, object)
			}
		})
	}
	for _, file := range glob(t, "test/api/testdata/bad/*.yaml") {
		t.Run(file, func(t *testing.T) { c.wantRefused(t, file) })
	}
}

// copied checks a YAML document of a page: an object, or values of the chart.
func (c *cluster) copied(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	switch object.GetKind() {
	case "":
		if _, isTest := object.Object["cases"]; isTest { // of policies, for `regpol test`
			return
		}
		if _, isPolicy := object.Object["spec"]; isPolicy { // docs/policies/warnings.md leaves out what all policies have
			c.wantAccepted(t, completed(object))
			return
		}
		if _, isChart := object.Object["dependencies"]; isChart {
			wantUmbrella(t, object)
			return
		}
		c.wantValues(t, object.Object)
	case "RegistrationPolicy":
		c.wantAccepted(t, object)
	case "ConfigMap": // a list, which stays because later policies use it
		c.wantKept(t, object)
	case "HelmRelease":
		c.wantValues(t, nested(t, object, "spec", "values"))
		c.wantAdmitted(t, object)
	case "Application":
		values, found, err := unstructured.NestedMap(object.Object, "spec", "source", "helm", "valuesObject")
		if err != nil {
			t.Fatal(err)
		}
		if found { // the release; otherwise policies
			c.wantValues(t, values)
		}
		c.wantAdmitted(t, object)
	case "Kustomization":
		if object.GroupVersionKind().Group != "kustomize.config.k8s.io" { // that of Flux
			c.wantAdmitted(t, object)
			return
		}
		if _, generates := object.Object["configMapGenerator"]; !generates { // TestAGeneratedListIsInForce builds it with its files
			c.wantBuilt(t, object)
		}
	default:
		c.wantAdmitted(t, object)
	}
}

// completed adds to a policy what a page leaves out.
func completed(policy *unstructured.Unstructured) *unstructured.Unstructured {
	policy.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicy"))
	if policy.GetName() == "" {
		policy.SetName("partners")
	}
	return policy
}

// wantBuilt builds an overlay in a directory beside config/default, as the page says, and checks that its objects are
// admitted.
func (c *cluster) wantBuilt(t *testing.T, overlay *unstructured.Unstructured) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repository, "config"))); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "overlay"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay", "kustomization.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	built, err := output(program(t, "kubectl"), "kustomize", filepath.Join(dir, "overlay"))
	if err != nil {
		t.Fatal(err)
	}
	c.wantAllAdmitted(t, built)
}

// wantAllAdmitted checks that the API server admits every object in a text.
func (c *cluster) wantAllAdmitted(t *testing.T, text string) {
	t.Helper()
	objects, err := parseObjects(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		c.wantAdmitted(t, object)
	}
}

// wantValues renders the chart with values from a page, added to those of the installation's page, and checks that the
// objects are admitted.
func (c *cluster) wantValues(t *testing.T, values map[string]any) {
	t.Helper()
	all := settings{
		"auth.existingSecret": hookSecret, "ingress.enabled": true, "ingress.host": "hook.example.com", "ingress.tls.secretName": "registration-hook-tls",
	}.values()
	texts, err := renderChart(loadChart(t), "page", released, settings(commonutil.CoalesceTables(values, all)))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		if filepath.Ext(name) == ".yaml" {
			c.wantAllAdmitted(t, text)
		}
	}
}

// wantAdmitted checks by a server-side dry run that an object is admitted.
func (c *cluster) wantAdmitted(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	if namespace := object.GetNamespace(); namespace != "" {
		err := c.kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		if err := client.IgnoreAlreadyExists(err); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.apply(t, object, client.DryRunAll); err != nil {
		t.Error(err)
	}
}

// wantAccepted applies a policy, and waits until the operator has accepted it.
func (c *cluster) wantAccepted(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	object.SetNamespace(released)
	if err := c.apply(t, object); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, patience, func() string {
		policy := &v1alpha1.RegistrationPolicy{}
		if err := c.kube.Get(t.Context(), client.ObjectKeyFromObject(object), policy); err != nil {
			t.Fatal(err)
		}
		accepted := meta.FindStatusCondition(policy.Status.Conditions, string(v1alpha1.ConditionAccepted))
		if accepted == nil || accepted.ObservedGeneration != policy.Generation || accepted.Status == metav1.ConditionUnknown {
			return "no status of " + policy.Name
		}
		if accepted.Status != metav1.ConditionTrue {
			t.Errorf("%s: %s", accepted.Reason, accepted.Message)
		}
		return ""
	})
}

// wantKept applies an object and does not remove it.
func (c *cluster) wantKept(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	object.SetNamespace(released)
	if err := c.apply(t, object); err != nil {
		t.Fatal(err)
	}
}

// wantRefused checks that the installed CustomResourceDefinition refuses a bad sample with the error that the sample's
// comments name.
func (c *cluster) wantRefused(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, file))
	if err != nil {
		t.Fatal(err)
	}
	_, want, found := strings.Cut(string(text), "# want: ")
	if want, _, _ = strings.Cut(want, "\n"); !found {
		t.Fatal("the sample does not say with which words it is refused")
	}
	for _, object := range read(t, file) {
		object.SetNamespace(released)
		strict := client.WithFieldValidation(c.kube, metav1.FieldValidationStrict)
		if err := strict.Create(t.Context(), object, client.DryRunAll); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// apply does the same as `kubectl apply --server-side`: unknown fields are errors.
func (c *cluster) apply(t *testing.T, object *unstructured.Unstructured, options ...client.ApplyOption) error {
	t.Helper()
	strict := client.WithFieldValidation(c.kube, metav1.FieldValidationStrict)
	options = append(options, client.FieldOwner("page"), client.ForceOwnership)
	return strict.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), options...)
}

// othersDefinitions returns the files with CustomResourceDefinitions of other projects that the pages use. Their
// modules have no package that go.mod could pin by an import, so their checksums are here.
func othersDefinitions(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, module := range []struct{ version, sum, file string }{
		{
			"github.com/fluxcd/source-controller@v1.8.0", "h1:h549HUCBEG4jGs3uFYfb2+/XhJjcz+pvB8VG4mdSYDw=",
			"config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
		},
		{
			"github.com/fluxcd/source-controller@v1.8.0", "h1:h549HUCBEG4jGs3uFYfb2+/XhJjcz+pvB8VG4mdSYDw=",
			"config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml",
		},
		{
			"github.com/traefik/traefik/v3@v3.6.12", "h1:6pe4s7aaDTQs+AsF7KP3sM/xnq7zOVvibRQe5tw9eFo=",
			"docs/content/reference/dynamic-configuration/traefik.io_middlewares.yaml",
		},
		{
			"github.com/fluxcd/helm-controller@v1.4.0", "h1:rkm8rmB6Na7eNc4pJOnvtXEaJ19iKluRtayHKjBxcUM=",
			"config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml",
		},
		{
			"github.com/fluxcd/kustomize-controller@v1.9.5", "h1:/XY2zy3K7fntyppEXIHG7oRMzmfgIt50eJzUfaPX1Kc=",
			"config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
		},
		{
			"github.com/argoproj/argo-cd/v3@v3.3.0", "h1:9UlruTd5cC/MyvorTXgAIblfZTy63MF5FYvvoAaUvwU=",
			"manifests/crds/application-crd.yaml",
		},
	} {
		text, err := output("go", "-C", t.TempDir(), "mod", "download", "-json", module.version) // in a directory without a go.mod
		if err != nil {
			t.Fatal(err)
		}
		var downloaded struct{ Dir, Sum string }
		if err := json.Unmarshal([]byte(text), &downloaded); err != nil {
			t.Fatal(err)
		}
		if downloaded.Sum != module.sum {
			t.Fatalf("%s: its sum is %s, want %s", module.version, downloaded.Sum, module.sum)
		}
		files = append(files, filepath.Join(downloaded.Dir, filepath.FromSlash(module.file)))
	}
	return files
}

func nested(t *testing.T, object *unstructured.Unstructured, fields ...string) map[string]any {
	t.Helper()
	values, found, err := unstructured.NestedMap(object.Object, fields...)
	if !found || err != nil {
		t.Fatalf("%s: %t %v", strings.Join(fields, "."), found, err)
	}
	return values
}

// glob returns the files of the repository that match patterns.
func glob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var found []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(repository, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Fatalf("no file %s", pattern)
		}
		for _, file := range files {
			found = append(found, filepath.ToSlash(strings.TrimPrefix(file, filepath.FromSlash(repository)+string(filepath.Separator))))
		}
	}
	return found
}

// read returns the objects of one of the repository's files.
func read(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := parseObjects(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}
