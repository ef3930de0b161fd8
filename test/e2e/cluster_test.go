package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/test/apiserver"
	"registrationpolicy.dev/operator/test/fixture"
	"registrationpolicy.dev/operator/test/tcpproxy"
)

const (
	namespace = "registration"
	// patience is how long the tests wait for an event. It only guards against a hang.
	patience = time.Minute
)

// cluster is a kube-apiserver with etcd and the CustomResourceDefinition, and a user for the operator with rights in
// one namespace.
type cluster struct {
	plane      *envtest.Environment
	client     client.Client
	kubeconfig string
	// line is a proxy between the operators and the API server. The test itself does not use it.
	line *tcpproxy.Proxy
}

// startCluster starts a cluster for one test.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	server := apiserver.New(t)
	c := &cluster{
		plane: server.Env, client: server.Kube,
		kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"), line: tcpproxy.Start(t, address(server.Config)),
	}
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	c.grant(t)
	return c
}

// grant creates a user with exactly the rights of config/rbac, and writes its kubeconfig.
func (c *cluster) grant(t *testing.T) {
	t.Helper()
	user, err := c.plane.AddUser(envtest.User{Name: "operator"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(address(c.plane.Config)), []byte(c.line.Addr()))
	if err := os.WriteFile(c.kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var role rbacv1.Role
	read(t, filepath.Join("..", "..", "config", "rbac", "role.yaml"), &role)
	role.Namespace = namespace
	c.create(t, &role)
	c.create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "operator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "operator"}},
	})
}

// address returns the host:port of an API server.
func address(config *rest.Config) string {
	return strings.Trim(strings.TrimPrefix(config.Host, "https:"), "/")
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func (c *cluster) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := c.client.Create(t.Context(), object); err != nil {
		t.Fatalf("create %s: %v", object.GetName(), err)
	}
}

// policy returns a policy with this name and spec, written in YAML.
func policy(t *testing.T, name, spec string) *v1alpha1.RegistrationPolicy {
	t.Helper()
	p := &v1alpha1.RegistrationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &p.Spec); err != nil {
		t.Fatalf("spec of %s: %v", name, err)
	}
	return p
}

// apply creates or replaces a policy.
func (c *cluster) apply(t *testing.T, name, spec string) {
	t.Helper()
	wanted := policy(t, name, spec)
	stored := &v1alpha1.RegistrationPolicy{}
	err := c.client.Get(t.Context(), client.ObjectKeyFromObject(wanted), stored)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if err != nil {
		c.create(t, wanted)
		return
	}
	before := stored.DeepCopy()
	stored.Spec = wanted.Spec
	if err := c.client.Patch(t.Context(), stored, client.MergeFrom(before)); err != nil {
		t.Fatalf("change %s: %v", name, err)
	}
}

func (c *cluster) delete(t *testing.T, name string) {
	t.Helper()
	if err := c.client.Delete(t.Context(), policy(t, name, "{}")); err != nil {
		t.Fatalf("delete %s: %v", name, err)
	}
}

// condition waits until a policy's condition is about its newest generation, and returns the condition.
func (c *cluster) condition(t *testing.T, name string) metav1.Condition {
	t.Helper()
	stored := policy(t, name, "{}")
	fixture.Await(t, "status of "+name, func() bool {
		if err := c.client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
			t.Fatal(err)
		}
		return stored.Status.ObservedGeneration == stored.Generation
	})
	return stored.Status.Conditions[0]
}

// awaitEvent waits for an Event with a reason, and returns it.
func (c *cluster) awaitEvent(t *testing.T, reason string) eventsv1.Event {
	t.Helper()
	var found eventsv1.Event
	fixture.Await(t, "Event "+reason, func() bool {
		var list eventsv1.EventList
		if err := c.client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		for _, event := range list.Items {
			if event.Reason == reason {
				found = event
				return true
			}
		}
		return false
	})
	return found
}
