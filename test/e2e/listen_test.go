package e2e

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/fixture"
)

// wantRefused fails the test unless the hook refuses connections. A proxy then connects to another replica.
func (op *operator) wantRefused(t *testing.T) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", op.hookAddress())
	if err == nil {
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("connecting to a hook that has no rules it may use: %v, want refused", err)
	}
}

// readyz returns details of /readyz.
func (op *operator) readyz(t *testing.T) (details struct {
	Ready, Listening, Fenced, Joining bool
	Rules                             string
}) {
	t.Helper()
	_, body, err := op.get(op.metricsURL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(body), &details); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return details
}

// firstStatus calls the hook repeatedly, and returns the status of the first answer. All earlier connections must be
// refused.
func (op *operator) firstStatus(t *testing.T) int {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, op.hookURL, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			return response.StatusCode
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("before its first answer, the hook gave %v; want a refused connection", err)
		}
	}
	t.Fatalf("the hook did not answer within %s", patience)
	return 0
}

// A kubelet restarts a killed container before proxies know that it ended. If the hook refuses a connection, a proxy
// sends the call to another replica. If it answered 503, the proxy would not repeat the call.
func TestTheHookRefusesConnectionsUntilRulesAreInForce(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	for name, flags := range map[string][]string{"plain": nil, "fenced": {"--fence-after", "30s"}} {
		t.Run(name, func(t *testing.T) {
			c.line.Cut()
			op := start(t, append(c.inCluster(t), flags...)...)
			for range 10 {
				op.wantRefused(t)
				time.Sleep(20 * time.Millisecond)
			}
			if details := op.readyz(t); details.Ready || details.Listening || details.Rules != "no rules loaded yet" {
				t.Errorf("readyz says %+v of a replica without rules", details)
			}
			c.line.Restore()
			// A call without a credential gets 401 as soon as the hook listens.
			if status := op.firstStatus(t); status != http.StatusUnauthorized {
				t.Errorf("the first answer is %d", status)
			}
			if got := op.register(t, "jo@acme.com"); got != allowed {
				t.Errorf("the first call with a credential: %+v", got)
			}
			fixture.Await(t, "readiness", func() bool { return op.status(t, op.probeURL+"/readyz") == http.StatusOK })
			if details := op.readyz(t); !details.Listening {
				t.Errorf("readyz says %+v of a replica that answers", details)
			}
		})
	}
}

// A replica with --fence-after has rules before it may answer by them: it must first have stored a report (a Lease).
func TestTheHookOfAFencedReplicaRefusesConnectionsUntilItMayAnswer(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	allowReports := c.refuseReports(t)
	op := start(t, append(c.inCluster(t), "--fence-after", "30s")...)
	fixture.Await(t, "rules", func() bool { return op.readyz(t).Rules == "loaded" })
	for range 20 {
		op.wantRefused(t)
		time.Sleep(20 * time.Millisecond)
	}
	if details := op.readyz(t); details.Ready || details.Listening || !details.Fenced {
		t.Errorf("readyz says %+v of a replica that cannot report", details)
	}
	allowReports()
	if status := op.firstStatus(t); status != http.StatusUnauthorized {
		t.Errorf("the first answer is %d", status)
	}
	if got := op.register(t, "jo@acme.com"); got != allowed {
		t.Errorf("once it may answer: %+v", got)
	}
}

// refuseReports removes the operator's right to write Leases until allow is called.
func (c *cluster) refuseReports(t *testing.T) (allow func()) {
	t.Helper()
	role := &rbacv1.Role{}
	read(t, filepath.Join("..", "..", "config", "rbac", "role.yaml"), role)
	key := client.ObjectKey{Namespace: namespace, Name: role.Name}
	if err := c.client.Get(t.Context(), key, role); err != nil {
		t.Fatal(err)
	}
	rules := role.Rules
	update := func(rules []rbacv1.PolicyRule) {
		if err := c.client.Get(t.Context(), key, role); err != nil {
			t.Fatal(err)
		}
		role.Rules = rules
		if err := c.client.Update(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
	update(slices.DeleteFunc(slices.Clone(rules), func(rule rbacv1.PolicyRule) bool {
		return slices.Contains(rule.Resources, "leases")
	}))
	return func() { update(rules) }
}

func TestAReplicaThatNeverHadRulesStopsInOrder(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.line.Cut()
	op := start(t, append(c.inCluster(t), "--drain-delay", "1s")...)
	op.wantRefused(t)
	if err := op.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// Rules that arrive while the operator drains do not make the hook listen.
	c.line.Restore()
	for !op.ended() {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", op.hookAddress())
		if err == nil {
			_ = conn.Close()
			t.Fatal("it took up calls after it was told to stop")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if op.err != nil {
		t.Errorf("exit: %v", op.err)
	}
	if !op.find("Stopped", &struct{}{}) {
		t.Error("the log does not say that it stopped")
	}
}
