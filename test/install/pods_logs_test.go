package install

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serveLogs registers the node, and serves the logs of pods to the API server for `kubectl logs`, as a kubelet does.
func (n *node) serveLogs(t testing.TB) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// /containerLogs/NAMESPACE/POD/CONTAINER
		steps := strings.Split(r.URL.Path, "/")
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, p := range n.pods {
			if len(steps) == 5 && steps[1] == "containerLogs" && p.key.Namespace == steps[2] && p.key.Name == steps[3] {
				_, _ = fmt.Fprint(w, p.log)
				return
			}
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	host, text, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}
	if err := n.cluster.kube.Create(context.WithoutCancel(t.Context()), node); err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: host}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
	if err := n.cluster.kube.Status().Update(context.WithoutCancel(t.Context()), node); err != nil {
		t.Fatal(err)
	}
}
