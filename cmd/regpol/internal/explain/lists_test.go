package explain

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/rules"
)

const (
	throwAway = verbtest.Header + `throw-away}
spec: {allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad}}]}}
`
	throwAwayList = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: bad, labels: {registrationpolicy.dev/list: "true"}}
data: {entries: "mailinator.com\n*.33mail.com\nsomeone@whole.example\n"}
`
)

func TestExplainNamesWhatAListHas(t *testing.T) {
	for sentence, test := range map[string]struct {
		text, address string
		code          int
		line          string
	}{
		"a domain below a listed one": {throwAway + throwAwayList, "jo@a.mailinator.com", console.ExitDenied,
			`reason   Denied: default/throw-away denies by spec.deny.lists[0] "bad", which lists mailinator.com`},
		"a wildcard": {throwAway + throwAwayList, "jo@a.33mail.com", console.ExitDenied,
			`reason   Denied: default/throw-away denies by spec.deny.lists[0] "bad", which lists *.33mail.com`},
		"a whole address": {throwAway + throwAwayList, "Someone@whole.example", console.ExitDenied,
			`reason   Denied: default/throw-away denies by spec.deny.lists[0] "bad"` + "\n"},
		"not listed":      {throwAway + throwAwayList, "jo@33mail.com", console.ExitAllowed, "allowed  jo@33mail.com"},
		"no such list":    {throwAway, "jo@acme.com", console.ExitDenied, "PolicyNotEnforceable: default/throw-away applies and cannot be enforced"},
		"and what is not": {throwAway, "jo@acme.com", console.ExitDenied, "not in force: spec.deny.lists[0]: list bad: there is no such ConfigMap"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "", "explain", test.address, "--policies", verbtest.WritePolicies(t, test.text))
			if got.Code != test.code || !strings.Contains(got.Out, test.line) {
				t.Errorf("exit code %d, want %d and %q in\n%s%s", got.Code, test.code, test.line, got.Out, got.Err)
			}
		})
	}
	_, report := explained(t, "jo@mailinator.com", "--policies", verbtest.WritePolicies(t, throwAway+throwAwayList))
	if entry := report.Decision.Entry; report.Decision.Reason != rules.ReasonDenied || entry == nil || entry.Listed != "mailinator.com" || entry.Text != "bad" {
		t.Errorf("decision %+v, entry %+v", report.Decision, entry)
	}
}
