package lists

import (
	"strings"
	"testing"
)

func TestEachKindOfSkippedLineHasItsReason(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	text := strings.Repeat("0.0.0.0 a.example\n", 7) + "*@acme.com\nacme..com\nzaunkoenig.*@acme.com\nacme.com\n"
	got := runRegpol(t, text, "lists", "sync", "disposable", "-", "--dry-run")
	const want = `  skipped    10 lines, which are not entries
             lines 1, 2, 3, 4, 5 and 2 more: it has a space inside; write one entry a line, and a comment after a space and #
             lines 8, 10: the part before the @ is not that of a plain mailbox; for every address of a domain, ` +
		`write the domain (acme.com); for one address with all its sub-addresses, write jo+*@acme.com
             line 9: a label is empty; write the domain without leading, trailing or doubled dots
`
	if !strings.Contains(got.Out, want) || strings.Contains(got.Out, "zaunkoenig") {
		t.Errorf("%s%s", got.Out, got.Err)
	}
	got = runRegpol(t, text, "lists", "sync", "disposable", "-", "--dry-run", "-o", "yaml")
	if !strings.Contains(got.Out, "skippedReasons:\n- firstLines:\n  - 1\n") || !strings.Contains(got.Out, "  lines: 7\n  reason: ") {
		t.Errorf("%s%s", got.Out, got.Err)
	}
}
