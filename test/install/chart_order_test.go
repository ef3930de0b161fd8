package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// laterChart writes a copy of the chart as a later release: with another image, and one more column in the
// CustomResourceDefinition.
func laterChart(t *testing.T) string {
	t.Helper()
	later := t.TempDir()
	if err := os.CopyFS(later, os.DirFS(filepath.FromSlash(chartDir))); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]struct{ old, new string }{
		"Chart.yaml": {"\nappVersion: ", "\nappVersion: 9."},
		filepath.Join("files", "crd.yaml"): {
			"  - additionalPrinterColumns:\n", "  - additionalPrinterColumns:\n    - {name: Later, type: string, jsonPath: .spec.message}\n",
		},
	} {
		file := filepath.Join(later, name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), change.old, change.new, 1)
		if changed == string(text) {
			t.Fatalf("%s has no %q", name, change.old)
		}
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return later
}

// generations has the resourceVersion at which each generation of an object was first observed.
type generations struct {
	events watch.Interface
	at     map[int64]string
}

func (c *cluster) watch(t *testing.T, list client.ObjectList) *generations {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	watching, err := client.NewWithWatch(c.config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	events, err := watching.Watch(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(events.Stop)
	return &generations{events: events, at: map[int64]string{}}
}

// first waits for a generation, and returns the resourceVersion at which it was first observed.
func (g *generations) first(t *testing.T, generation int64) string {
	t.Helper()
	late := time.After(patience)
	for g.at[generation] == "" {
		select {
		case event, open := <-g.events.ResultChan():
			object, is := event.Object.(client.Object)
			if !open || !is {
				t.Fatalf("the watch ended: %v", event.Object)
			}
			if g.at[object.GetGeneration()] == "" {
				g.at[object.GetGeneration()] = object.GetResourceVersion()
			}
		case <-late:
			t.Fatalf("no generation %d within %s", generation, patience)
		}
	}
	return g.at[generation]
}

// before checks that the CustomResourceDefinition was changed before the Deployment.
func before(t *testing.T, about, definition, deployment string) {
	t.Helper()
	order, err := resourceversion.CompareResourceVersion(definition, deployment) // comparable across kinds, because both are in the same etcd
	if err != nil {
		t.Fatal(err)
	}
	if order >= 0 {
		t.Errorf("%s: the Deployment came at %s, the definition at %s", about, deployment, definition)
	}
}

// With an older CustomResourceDefinition, a newer operator could not write its status, and the API server would drop
// new fields of policies. So Helm must change the definition before the pods, and the manual's way back must leave the
// definition.
func TestTheDefinitionComesBeforeThePodsAndStaysOnTheWayBack(t *testing.T) {
	t.Parallel()
	const namespace = "order"
	c := startCluster(t)
	c.namespace(t, namespace)
	later := laterChart(t)
	definitions := c.watch(t, &apiextensionsv1.CustomResourceDefinitionList{})
	deployments := c.watch(t, &appsv1.DeploymentList{})
	columns := func() string { return c.definition(t).Spec.Versions[0].AdditionalPrinterColumns[0].Name }
	image := func() string {
		var deployment appsv1.Deployment
		key := client.ObjectKey{Namespace: namespace, Name: "hook-registration-policy-operator"}
		if err := c.kube.Get(t.Context(), key, &deployment); err != nil {
			t.Fatal(err)
		}
		_, tag, _ := strings.Cut(deployment.Spec.Template.Spec.Containers[0].Image, ":")
		return tag
	}

	c.helm(t, releaseArguments("install", chartDir, namespace)...)
	before(t, "install", definitions.first(t, 1), deployments.first(t, 1))
	today := image()

	c.helm(t, releaseArguments("upgrade", later, namespace)...)
	before(t, "upgrade", definitions.first(t, 2), deployments.first(t, 2))
	if image() == today || columns() != "Later" {
		t.Fatalf("after the upgrade: image %s, first column %s", image(), columns())
	}

	c.helm(t, releaseArguments("upgrade", chartDir, namespace, "crds.install=false")...)
	if image() != today || columns() != "Later" {
		t.Errorf("after the way back: image %s, want %s; first column %s, want Later", image(), today, columns())
	}

	c.helm(t, releaseArguments("upgrade", later, namespace)...)
	if image() == today || columns() != "Later" {
		t.Errorf("after the second upgrade: image %s, first column %s", image(), columns())
	}
	// The manual warns of this: helm rollback also restores the older definition.
	c.helm(t, "rollback", "hook", "1", "--namespace", namespace)
	if image() != today || columns() == "Later" {
		t.Errorf("after helm rollback: image %s, want %s; first column %s", image(), today, columns())
	}
}
