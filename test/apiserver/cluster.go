package apiserver

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/config/crd"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/test/assets"
	"registrationpolicy.dev/operator/test/fixture"
)

// Cluster is a kube-apiserver with etcd. It runs no controllers of Kubernetes.
type Cluster struct {
	// Env runs kube-apiserver and etcd.
	Env *envtest.Environment
	// Config and Kube have the rights of an administrator.
	Config *rest.Config
	Kube   client.Client
}

// Start starts a cluster. The caller must stop its Env.
func Start(env *envtest.Environment) (*Cluster, error) {
	if err := assets.Provide(); err != nil {
		return nil, err
	}
	config, err := env.Start()
	if err != nil {
		return nil, err
	}
	config = policyobject.ClientConfig(config)
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	kube, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	return &Cluster{Env: env, Config: config, Kube: kube}, nil
}

// startWithDefinition starts a cluster that has the CustomResourceDefinition.
func startWithDefinition() (*Cluster, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(crd.RegistrationPolicies, definition); err != nil {
		return nil, err
	}
	return Start(&envtest.Environment{CRDs: []*apiextensionsv1.CustomResourceDefinition{definition}})
}

// New starts a cluster for one test. It has the CustomResourceDefinition, and is stopped at the end of the test.
func New(t testing.TB) *Cluster {
	t.Helper()
	cluster, err := startWithDefinition()
	if err != nil {
		t.Fatalf("start an API server: %v", err)
	}
	t.Cleanup(func() { _ = cluster.Env.Stop() })
	return cluster
}

// Kubeconfig writes a kubeconfig with the rights of an administrator, and returns its path.
func (c *Cluster) Kubeconfig(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, c.Env.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Scheme returns a scheme with the types of Kubernetes and of this operator.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, cmp.Or(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// DirectClient returns a client that reads from the API server without a cache, and that does not need API discovery.
func DirectClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := client.New(config, client.Options{Scheme: scheme, Mapper: policyobject.Mapper()})
	if err != nil {
		t.Fatal(err)
	}
	return direct
}

// Namespace creates a namespace for one test. It is not deleted, so that a check after all tests can search its Events
// and conditions for local parts of addresses.
func (c *Cluster) Namespace(t *testing.T) string {
	t.Helper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Kube.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return object.Name
}

// Apply applies a policy with a spec in YAML, see [fixture.Policy].
func (c *Cluster) Apply(t *testing.T, namespace, name, spec string) {
	t.Helper()
	c.ApplyObject(t, fixture.Policy(t, namespace, name, spec))
}

// ApplyObject applies a policy with server-side apply.
func (c *Cluster) ApplyObject(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	configuration := client.ApplyConfigurationFromUnstructured(object)
	if err := c.Kube.Apply(t.Context(), configuration, client.FieldOwner("test"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
}

// Remove deletes a policy.
func (c *Cluster) Remove(t *testing.T, namespace, name string) {
	t.Helper()
	object := policyobject.New()
	object.SetNamespace(namespace)
	object.SetName(name)
	if err := c.Kube.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// Stored returns the current state of a policy from the API server.
func (c *Cluster) Stored(t *testing.T, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	object := policyobject.New()
	if err := c.Kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, object); err != nil {
		t.Fatal(err)
	}
	return object
}

// Endpoint is the endpoint of a pod in an EndpointSlice.
type Endpoint struct {
	// Name is the name of the pod.
	Name string
	// Serving is the condition serving of the endpoint. nil means that the endpoint does not have the condition.
	Serving *bool
}

// Endpoints creates or updates the EndpointSlice of a Service, as the EndpointSlice controller would.
func (c *Cluster) Endpoints(t *testing.T, namespace, service string, endpoints ...Endpoint) {
	t.Helper()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for i, e := range endpoints {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.0.0.%d", i+1)},
			Conditions: discoveryv1.EndpointConditions{Serving: e.Serving},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: e.Name},
		})
	}
	existing := &discoveryv1.EndpointSlice{}
	if err := c.Kube.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: slice.Name}, existing); err == nil {
		slice.ResourceVersion = existing.ResourceVersion
		if err := c.Kube.Update(t.Context(), slice); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := c.Kube.Create(t.Context(), slice); err != nil {
		t.Fatal(err)
	}
}

// List returns a ConfigMap with the labels of a list. texts is its data.
func List(namespace, name string, texts map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: listconfigmap.Labels()}, Data: texts,
	}
}

// Keep creates or replaces ConfigMaps.
func (c *Cluster) Keep(t *testing.T, objects ...*corev1.ConfigMap) {
	t.Helper()
	for _, object := range objects {
		object.ResourceVersion = ""
		err := c.Kube.Create(t.Context(), object)
		if client.IgnoreAlreadyExists(err) == nil && err != nil {
			err = c.Kube.Update(t.Context(), object)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Drop deletes a ConfigMap.
func (c *Cluster) Drop(t *testing.T, namespace, name string) {
	t.Helper()
	if err := c.Kube.Delete(t.Context(), List(namespace, name, nil)); err != nil {
		t.Fatal(err)
	}
}
