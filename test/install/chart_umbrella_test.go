package install

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// umbrella writes an umbrella chart with the chart as a dependency by each of the aliases, and returns its directory.
func umbrella(t *testing.T, values string, aliases ...string) string {
	t.Helper()
	dir := t.TempDir()
	version := loadChart(t).Metadata.Version
	text := "apiVersion: v2\nname: identity\nversion: 1.0.0\ndependencies:\n"
	for _, alias := range aliases {
		text += fmt.Sprintf("- {name: registration-policy-operator, alias: %[1]s, version: %[2]s, condition: %[1]s.enabled}\n", alias, version)
	}
	for name, text := range map[string]string{"Chart.yaml": text, "values.yaml": values} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "charts", "registration-policy-operator"), os.DirFS(filepath.FromSlash(chartDir))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rendered returns the objects that the real helm renders.
func rendered(t *testing.T, dir string, args ...string) []*unstructured.Unstructured {
	t.Helper()
	text, err := output(program(t, "helm"), append([]string{"template", "acme", dir, "--namespace", "identity"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := parseObjects(text)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// underUmbrella are values of an umbrella chart that give the operator global ones, and leave the ids of its pods to the
// cluster.
const underUmbrella = `
global:
  imageRegistry: mirror.acme.com:5000
  imagePullSecrets: [mirror, {name: other}]
  storageClass: fast
hook:
  enabled: true
  imagePullSecrets: [{name: other}, {name: own}]
  image: {repository: okta/operator, registry: ghcr.io}
  auth: {existingSecret: registration-hook-auth}
  podSecurityContext: {runAsUser: "", runAsGroup: "", fsGroup: ""}
  listSync: {enabled: true, lists: [{name: disposable-domains, url: "https://lists.example.com/disposable.txt"}]}
  commonLabels: {app.kubernetes.io/part-of: identity}
`

func TestUnderAnUmbrellaChartGlobalValuesReachEveryPod(t *testing.T) {
	dir := umbrella(t, underUmbrella, "hook")
	if _, err := output(program(t, "helm"), "lint", dir); err != nil {
		t.Error(err)
	}
	objects := rendered(t, dir)
	for name, pod := range podsOf(t, objects) {
		image := pod.Spec.Containers[0].Image
		if want := "mirror.acme.com:5000/okta/operator:" + loadChart(t).Metadata.AppVersion; image != want {
			t.Errorf("%s: image %s, want %s", name, image, want)
		}
		var secrets []string
		for _, secret := range pod.Spec.ImagePullSecrets {
			secrets = append(secrets, secret.Name)
		}
		if want := []string{"other", "own", "mirror"}; !slices.Equal(secrets, want) {
			t.Errorf("%s: pulled with %v, want %v", name, secrets, want)
		}
		// By "", because Helm does not let a null of the parent chart remove a value.
		if security := pod.Spec.SecurityContext; security.RunAsUser != nil || security.RunAsGroup != nil || security.FSGroup != nil {
			t.Errorf("%s asks for ids: %+v", name, security)
		}
	}
	for _, object := range objects {
		if name := strings.TrimPrefix(object.GetName(), "identity."); !strings.HasPrefix(name, "acme-hook") && name != crdName {
			t.Errorf("%s is not named after the release and the alias", where(object))
		}
		if object.GetName() != crdName && object.GetLabels()["app.kubernetes.io/part-of"] != "identity" {
			t.Errorf("%s: labels %v", where(object), object.GetLabels())
		}
	}
}

func TestTheConditionOfAnUmbrellaChartSwitchesTheOperatorOff(t *testing.T) {
	dir := umbrella(t, underUmbrella, "hook")
	if objects := rendered(t, dir, "--set", "hook.enabled=false"); len(objects) != 0 {
		t.Errorf("switched off, it still has %s", where(objects[0]))
	}
	text, err := os.ReadFile(filepath.Join(dir, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	without := strings.ReplaceAll(string(text), ", condition: hook.enabled", "")
	if err := os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = output(program(t, "helm"), "template", "acme", dir, "--set", "hook.enabled=false")
	if err == nil || !strings.Contains(err.Error(), "enabled=false is only for the condition of an umbrella chart") {
		t.Errorf("without the condition: %v", err)
	}
}

// wantUmbrella checks that Helm renders an umbrella chart of a page, with the operator and without it.
func wantUmbrella(t *testing.T, chart *unstructured.Unstructured) {
	t.Helper()
	text, err := yaml.Marshal(chart.Object)
	if err != nil {
		t.Fatal(err)
	}
	dir := umbrella(t, "", "hook")
	if err := os.WriteFile(filepath.Join(dir, "Chart.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	alias := below([]any{chart.Object}, "dependencies", "alias")
	if len(alias) != 1 {
		t.Fatalf("the dependency has the aliases %v", alias)
	}
	objects := rendered(t, dir, "--set", fmt.Sprintf("%s.auth.existingSecret=a", alias[0]))
	find(t, objects, "Deployment", fmt.Sprintf("acme-%s", alias[0]))
	if objects := rendered(t, dir, "--set", fmt.Sprintf("%s.enabled=false", alias[0])); len(objects) != 0 {
		t.Errorf("switched off, it still has %s", where(objects[0]))
	}
}

func TestNamesOfAnUmbrellaChartCanBeOverridden(t *testing.T) {
	dir := umbrella(t, underUmbrella, "hook")
	for given, want := range map[string]string{
		"hook.nameOverride=registrations":     "acme-registrations",
		"hook.fullnameOverride=registrations": "registrations",
		"hook.nameOverride=":                  "acme-hook",
	} {
		objects := rendered(t, dir, "--set", given)
		deployment := find(t, objects, "Deployment", want)
		find(t, objects, "Service", want)
		find(t, objects, "ValidatingAdmissionPolicy", "identity."+want)
		if got := arguments(t, deployment); !slices.Contains(got, "--lease-name="+want) || !slices.Contains(got, "--service-name="+want) {
			t.Errorf("with %s: %v", given, got)
		}
	}
}

// Two orgs in one umbrella chart: each dependency has its objects, and only one owns the CustomResourceDefinition.
func TestAnUmbrellaChartMayHaveTheOperatorTwice(t *testing.T) {
	values := `
customers: {auth: {existingSecret: customers}}
partners: {auth: {existingSecret: partners}, crds: {install: false}}
`
	objects := rendered(t, umbrella(t, values, "customers", "partners"))
	places := map[string]bool{}
	selectors := map[string]bool{}
	for _, object := range objects {
		if places[where(object)] {
			t.Errorf("%s is there twice", where(object))
		}
		places[where(object)] = true
		if object.GetKind() == "Service" {
			labels, _, _ := unstructured.NestedStringMap(object.Object, "spec", "selector")
			selectors[fmt.Sprint(labels)] = true
		}
	}
	if len(selectors) != 2 {
		t.Errorf("the Services of two dependencies select by %v", slices.Sorted(maps.Keys(selectors)))
	}
}

// A release of an umbrella chart on a real API server, with running pods: it becomes ready, and `helm test` calls the hook.
func TestAnUmbrellaChartInstallsAndPassesItsTest(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	startNode(t, c)
	c.namespace(t, "identity")
	c.secret(t, "identity", "registration-hook-auth", map[string]string{hookKey: hookCredential})
	dir := umbrella(t, "global: {imageRegistry: mirror.acme.com}\nhook: {auth: {existingSecret: registration-hook-auth}}\n", "hook")
	c.helm(t, "install", "acme", dir, "--namespace", "identity", "--wait")
	c.helm(t, "test", "acme", "--namespace", "identity")
	c.helm(t, "upgrade", "acme", dir, "--namespace", "identity", "--set", "hook.enabled=false")
	if left := c.kubectl(t, "--namespace", "identity", "get", "deployment,service,role", "-o", "name"); left != "" {
		t.Errorf("switched off, there is still:\n%s", left)
	}
}
