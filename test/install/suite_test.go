package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/cert-manager/cert-manager/pkg/apis/certmanager" // pins the module whose CRDs we install
	"github.com/go-logr/logr"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil" // the same
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	_ "sigs.k8s.io/gateway-api/pkg/consts" // the same

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/test/assets"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := assets.Provide(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctrllog.SetLogger(logr.Discard())
	defer removePrograms()
	defer func() {
		if stopChartCluster != nil {
			stopChartCluster()
		}
	}()
	return m.Run()
}

// go test reuses a cached result unless a file or variable changed that a test read. This test reads the directory of
// the API server's program. Otherwise a run with another API server could get the cached result of an earlier run.
func TestTheResultDependsOnTheAPIServer(t *testing.T) {
	if _, err := os.Stat(os.Getenv(assets.Variable)); err != nil {
		t.Error(err)
	}
}

// stopChartCluster must be called at the end of the test binary.
var stopChartCluster func()

// chartCluster starts the cluster that tests of the chart share. It has the CustomResourceDefinitions of HTTPRoute,
// Certificate, ServiceMonitor and PrometheusRule. Each test uses its own namespaces.
var chartCluster = sync.OnceValues(func() (*cluster, error) {
	definitions, err := neededDefinitions()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chart")
	if err != nil {
		return nil, err
	}
	plane := &envtest.Environment{
		ErrorIfCRDPathMissing: true,
		CRDDirectoryPaths:     definitions,
	}
	config, err := plane.Start()
	if err != nil {
		return nil, err
	}
	stopChartCluster = func() {
		_ = plane.Stop()
		_ = os.RemoveAll(dir)
	}
	config.QPS = -1 // no client-side limit
	c := &cluster{config: config, kubeconfig: filepath.Join(dir, "kubeconfig")}
	if c.kube, err = newClient(config); err != nil {
		return nil, err
	}
	if c.clientset, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	return c, os.WriteFile(c.kubeconfig, plane.KubeConfig, 0o600)
})

// neededDefinitions returns the files with the CustomResourceDefinitions of other projects of which the chart has
// objects.
func neededDefinitions() ([]string, error) {
	listed, err := output("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api", "github.com/cert-manager/cert-manager",
		"github.com/prometheus-operator/prometheus-operator")
	if err != nil {
		return nil, err
	}
	modules := strings.Fields(listed)
	gateway, certManager, monitoring := modules[0], modules[1], filepath.Join(modules[2], "example", "prometheus-operator-crd")
	return []string{
		filepath.Join(gateway, "config", "crd", "standard", "gateway.networking.k8s.io_httproutes.yaml"),
		filepath.Join(certManager, "deploy", "crds", "cert-manager.io_certificates.yaml"),
		filepath.Join(monitoring, "monitoring.coreos.com_servicemonitors.yaml"),
		filepath.Join(monitoring, "monitoring.coreos.com_prometheusrules.yaml"),
	}, nil
}

func newClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme})
}

func useChartCluster(t *testing.T) *cluster {
	t.Helper()
	c, err := chartCluster()
	if err != nil {
		t.Fatalf("start the control plane: %v", err)
	}
	return c
}
