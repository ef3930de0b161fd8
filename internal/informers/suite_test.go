package informers

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/test/apiserver"
)

// cluster is the API server of all tests; each test takes a namespace of its own.
var cluster *apiserver.Cluster

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	klog.SetLogger(logr.Discard())
	var err error
	if cluster, err = apiserver.Start(&envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join("..", "..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true,
	}); err != nil {
		fmt.Fprintln(os.Stderr, "start an API server:", err)
		return 1
	}
	defer func() { _ = cluster.Env.Stop() }()
	return m.Run()
}
