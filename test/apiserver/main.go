package apiserver

import (
	"fmt"
	"os"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
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
	if *cluster, err = startWithDefinition(); err != nil {
		return 0, err
	}
	defer func() { _ = (*cluster).Env.Stop() }()
	return m.Run(), nil
}
