package install

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// patience is how long the tests wait for an event. It only guards against a hang.
const patience = time.Minute

// cluster is an empty cluster without nodes: an API server and its etcd.
type cluster struct {
	config     *rest.Config
	kube       client.Client
	clientset  kubernetes.Interface
	kubeconfig string // the file, with the rights of an administrator
}

// startCluster starts an empty cluster for one test.
func startCluster(t testing.TB) *cluster {
	t.Helper()
	plane := &envtest.Environment{}
	config, err := plane.Start()
	if err != nil {
		t.Fatalf("start the control plane: %v", err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	config.QPS = -1 // no client-side limit, because tests of rights make hundreds of requests
	c := &cluster{config: config, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if c.kube, err = newClient(config); err != nil {
		t.Fatal(err)
	}
	if c.clientset, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.kubeconfig, plane.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// namespace creates a namespace in which PodSecurity enforces the level "restricted".
func (c *cluster) namespace(t testing.TB, name string) {
	t.Helper()
	err := c.kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// secret creates a Secret.
func (c *cluster) secret(t testing.TB, namespace, name string, entries map[string]string) {
	t.Helper()
	err := c.kube.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: entries,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// helm runs the real helm, as the cluster's administrator.
func (c *cluster) helm(t testing.TB, args ...string) string {
	t.Helper()
	text, err := output(program(t, "helm"), append(args, "--kubeconfig", c.kubeconfig)...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// kubectl runs the real kubectl, as the cluster's administrator.
func (c *cluster) kubectl(t testing.TB, args ...string) string {
	t.Helper()
	text, err := output(program(t, "kubectl"), append(args, "--kubeconfig", c.kubeconfig)...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
