package replica

import (
	"io"
	"os"
	"slices"
	"sync"
	"testing"

	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"registrationpolicy.dev/operator/test/apiserver"
	"registrationpolicy.dev/operator/test/fixture"
)

// leaseName is that of the lease of the leader.
const leaseName = "operator"

var cluster *apiserver.Cluster

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m, &cluster)) }

func newNamespace(t *testing.T) string {
	t.Helper()
	return cluster.Namespace(t)
}

// leases returns a client for Leases.
func leases(t *testing.T) coordinationv1client.LeasesGetter {
	t.Helper()
	client, err := coordinationv1client.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func eventually(t *testing.T, condition func() string) {
	t.Helper()
	fixture.Eventually(t, fixture.Within, condition)
}

// testRules are rules whose state a test sets.
type testRules struct {
	mu       sync.Mutex
	inForce  InForce
	advanced []string // the versions that were asked for
	changed  chan struct{}
	// follow makes the readable namespaces reach each version that is asked for.
	follow bool
}

func newTestRules(inForce InForce) *testRules {
	return &testRules{inForce: inForce, changed: make(chan struct{})}
}

func (r *testRules) InForce() (InForce, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inForce, r.changed
}

func (r *testRules) AdvanceTo(version string) {
	r.mu.Lock()
	r.advanced = append(r.advanced, version)
	next, follow := r.inForce, r.follow
	r.mu.Unlock()
	if !follow {
		return
	}
	synced := map[string]string{}
	for namespace, earlier := range next.Synced {
		synced[namespace] = version
		if slices.Contains(next.Unreadable, namespace) {
			synced[namespace] = earlier
		}
	}
	next.Synced = synced
	r.set(next)
}

func (r *testRules) set(inForce InForce) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inForce = inForce
	close(r.changed)
	r.changed = make(chan struct{})
}

// logLines is a log that can be read while it is written.
type logLines struct {
	mu   sync.Mutex
	text []byte
}

var _ io.Writer = (*logLines)(nil)

func (l *logLines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text...)
	return len(text), nil
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
