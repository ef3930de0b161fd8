package manual

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/apiserver"
)

// namespace is the operator's namespace in the manual.
const namespace = "registration-policy"

// cluster is a kube-apiserver with etcd and the CustomResourceDefinition. The operator uses an administrator's
// kubeconfig, because other tests check its rights.
type cluster struct {
	client          client.Client
	adminKubeconfig string
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	server := apiserver.New(t)
	c := &cluster{client: server.Kube, adminKubeconfig: server.Kubeconfig(t)}
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	return c
}

func (c *cluster) create(t *testing.T, object client.Object) {
	t.Helper()
	if err := c.client.Create(t.Context(), object); err != nil {
		t.Fatalf("create %s: %v", object.GetName(), err)
	}
}

// inCluster returns the flags of a replica that watches the policies of its namespace.
func (c *cluster) inCluster() []string {
	return []string{"--kubeconfig", c.adminKubeconfig, "--namespace", namespace}
}
