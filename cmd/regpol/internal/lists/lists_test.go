package lists

import (
	"strconv"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
)

func TestADryRunOfAFileNeedsNoCluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	got := runRegpol(t, "acme.example\nnot an entry\n"+strings.Repeat("# comment\n", 99), "lists", "sync", "disposable", "-", "--dry-run")
	if got.Code != console.ExitDenied || !strings.Contains(got.Out, "NotAList") {
		t.Errorf("a content that is not a list: exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
	got = runRegpol(t, "acme.example\n", "lists", "sync", "disposable", "-", "--dry-run")
	if got.Code != console.ExitAllowed || !strings.HasPrefix(got.Out, "done  default/disposable (dry run)\n") ||
		!strings.Contains(got.Out, "  entries    1 (1 new, 0 gone)\n") || !strings.Contains(got.Err, "warning: without a cluster") {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
	if got = runRegpol(t, "acme.example\n", "lists", "sync", "disposable", "-"); got.Code != console.ExitUsage ||
		!strings.Contains(got.Err, "no cluster: give one with --kubeconfig or KUBECONFIG") {
		t.Errorf("without --dry-run: exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
	entry := "x.acme.example\n_\n"
	for i := range 300 {
		entry += "d" + strconv.Itoa(i) + ".example\n"
	}
	got = runRegpol(t, entry, "lists", "sync", "disposable", "-", "--dry-run")
	if !strings.Contains(got.Out, "  skipped    1 line, which is not an entry\n             line 2: a domain has") {
		t.Errorf("a line that is no entry:\n%s%s", got.Out, got.Err)
	}
}
