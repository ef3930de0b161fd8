package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/fixture"
)

// buildAs builds the operator with a version, and returns the path of the program.
func buildAs(t *testing.T, version string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "operator")
	build := exec.Command("go", "build", "-o", file, "-ldflags", "-X registrationpolicy.dev/operator/internal/version.stamped="+version,
		"registrationpolicy.dev/operator/cmd/operator")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v: %s", err, output)
	}
	return file
}

// A version of the operator refuses a snapshot that another version stored, because the two may understand the same
// objects differently. It waits for the API server, and then stores its own.
func TestAnUpgradeAcrossAStoredSnapshot(t *testing.T) {
	t.Parallel()
	const earlier, later = "v1.0.0", "v1.1.0"
	c, dir := startCluster(t), t.TempDir()
	flags := append(c.inCluster(t), "--snapshot-dir", dir)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	programs := map[string]string{earlier: buildAs(t, earlier), later: buildAs(t, later)}

	op := startProgram(t, programs[earlier], flags...)
	fixture.Await(t, "readiness", op.isReady)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	if got := op.metric(t, `registration_policy_build_info{version="`+earlier+`"}`); got != "1" {
		t.Errorf("registration_policy_build_info of %s: %q", earlier, got)
	}
	var leases coordinationv1.LeaseList
	if err := c.client.List(t.Context(), &leases, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	said := false
	for i := range leases.Items {
		said = said || strings.Contains(leases.Items[i].Annotations["registrationpolicy.dev/replica"], `"version":"`+earlier+`"`)
	}
	if !said {
		t.Errorf("no Lease says that the replica is of %s", earlier)
	}
	if file := awaitFile(t, dir, time.Time{}); !bytes.Contains(file, []byte(earlier)) {
		t.Errorf("the stored snapshot does not say that it is of %s", earlier)
	}
	op.kill(t)

	c.line.Cut()
	op = startProgram(t, programs[later], flags...)
	op.wantNoRules(t)
	var line struct{ Cause string }
	if !op.find("Stored snapshot refused", &line) || line.Cause != "other_version" {
		t.Errorf("refused as %q, want other_version", line.Cause)
	}
	c.line.Restore()
	op.awaitAnswerOnceItListens(t)
	fixture.Await(t, "a stored snapshot of the later version", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "snapshot"))
		return err == nil && bytes.Contains(text, []byte(later)) && !bytes.Contains(text, []byte(earlier))
	})
	op.kill(t)

	c.line.Cut()
	op = startProgram(t, programs[later], flags...)
	fixture.Await(t, "a stored snapshot of the same version in force", func() bool { return op.stored(t) != nil })
	op.awaitAnswerOnceItListens(t)
}

// awaitAnswerOnceItListens waits until the hook listens, and checks that the first answer is by the policy.
func (op *operator) awaitAnswerOnceItListens(t *testing.T) {
	t.Helper()
	op.firstStatus(t)
	if got := op.register(t, "jo@acme.com"); got != allowed {
		t.Errorf("the first answer: %+v", got)
	}
}
