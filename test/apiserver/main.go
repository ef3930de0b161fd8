package apiserver

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/config/crd"
)

// Main starts an API server, stores it in cluster, runs the tests of a package and returns the exit code. Each test
// should use a namespace of its own, see [Cluster.Namespace]. The logs of controller-runtime and klog are discarded.
func Main(m *testing.M, cluster **Cluster) (code int) {
	code, err := run(m, cluster)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start an API server:", err)
		return 1
	}
	return code
}

func run(m *testing.M, cluster **Cluster) (code int, err error) {
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(crd.RegistrationPolicies, definition); err != nil {
		return 0, err
	}
	if *cluster, err = Start(&envtest.Environment{CRDs: []*apiextensionsv1.CustomResourceDefinition{definition}}); err != nil {
		return 0, err
	}
	defer func() { _ = (*cluster).Env.Stop() }()
	return m.Run(), nil
}
