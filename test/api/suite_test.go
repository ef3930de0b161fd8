// Package api tests the public API on a real API server: which objects it admits, which it refuses and with which
// words, and what it stores.
package api

import (
	"context"
	"fmt"
	"os"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/config/crd"
	"registrationpolicy.dev/operator/test/apiserver"
	"registrationpolicy.dev/operator/test/assets"
)

const (
	namespace = "default" // exists on every API server
	root      = "../.."   // the root of the repository
)

var (
	definition apiextensionsv1.CustomResourceDefinition
	// kube asks the API server to reject unknown fields, as kubectl does. lax does not, so that the API server drops
	// them.
	kube, lax client.Client
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := yaml.UnmarshalStrict(crd.RegistrationPolicies, &definition); err != nil {
		fmt.Fprintln(os.Stderr, "the generated CustomResourceDefinition:", err)
		return 1
	}
	cluster, err := apiserver.Start(&envtest.Environment{CRDs: []*apiextensionsv1.CustomResourceDefinition{&definition}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start an API server:", err)
		return 1
	}
	defer func() { _ = cluster.Env.Stop() }()
	lax = cluster.Kube
	kube = client.WithFieldValidation(lax, "Strict")
	return m.Run()
}

// go test reuses a cached result unless a file or variable changed that a test read. This test reads the directory of
// the API server's program. Otherwise a run with another API server could get the cached result of an earlier run.
func TestTheResultDependsOnTheAPIServer(t *testing.T) {
	if _, err := os.Stat(os.Getenv(assets.Variable)); err != nil {
		t.Error(err)
	}
}

// readObject returns the one object of a YAML file, in the tests' namespace.
func readObject(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parseObject(t, text)
}

func parseObject(t *testing.T, text []byte) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(text, &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetNamespace(namespace)
	return object
}

// create creates the object and removes it at the end of the test.
func create(t *testing.T, c client.Client, object client.Object) error {
	t.Helper()
	err := c.Create(t.Context(), object)
	if err == nil {
		removeAtEnd(t, object)
	}
	return err
}

func removeAtEnd(t *testing.T, object client.Object) {
	t.Helper()
	t.Cleanup(func() {
		if err := kube.Delete(context.WithoutCancel(t.Context()), object); err != nil {
			t.Error(err)
		}
	})
}

// stored returns the object as a client of this module reads it.
func stored(t *testing.T, object client.Object) *v1alpha1.RegistrationPolicy {
	t.Helper()
	policy := &v1alpha1.RegistrationPolicy{}
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(object), policy); err != nil {
		t.Fatal(err)
	}
	return policy
}
