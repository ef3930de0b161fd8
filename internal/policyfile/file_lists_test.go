package policyfile

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/test/fixture"
)

// listFile returns a ConfigMap with the label of a list.
func listFile(name, text string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n  labels: {registrationpolicy.dev/list: \"true\"}\n" +
		"data:\n  entries: |\n    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}

const denyByListFile = ` {allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad}}]}}`

func TestFilesMayHoldLists(t *testing.T) {
	f := openDirectory(t, "p.yaml", policyFile("p", denyByListFile))
	f.load(t)
	fixture.WantAnswer(t, f.store, "jo@listed.example", "DENY PolicyNotEnforceable")
	if log := f.log.String(); !strings.Contains(log, "spec.deny.lists[0]") || !strings.Contains(log, "p.yaml:4") {
		t.Errorf("the log does not name the missing list: %s", log)
	}
	f.write(t, "bad.yaml", listFile("bad", "listed.example\n{local}@whole.example"))
	f.load(t)
	fixture.WantAnswer(t, f.store, "jo@listed.example", "DENY Denied")
	fixture.WantAnswer(t, f.store, "jo@other.example", "ALLOW Allowed")
	fixture.WantAnswer(t, f.store, fixture.LocalPart+"@whole.example", "DENY Denied")
	compiled := fixture.Metric(t, f.registry, "registration_policy_list_compilations_total")

	f.write(t, "q.yaml", policyFile("q", " {deny: {domains: [q.example]}}"))
	f.load(t)
	fixture.WantAnswer(t, f.store, "jo@q.example", "DENY Denied")
	if got := fixture.Metric(t, f.registry, "registration_policy_list_compilations_total"); got != compiled {
		t.Errorf("%v lists compiled for a policy without one", got-compiled)
	}

	f.write(t, "bad.yaml", listFile("bad", "elsewhere.example"))
	f.load(t)
	fixture.WantAnswer(t, f.store, "jo@listed.example", "ALLOW Allowed")
}

func TestBadListsInFilesAreRefusedByLine(t *testing.T) {
	const head = "apiVersion: v1\nkind: ConfigMap\n"
	for sentence, test := range map[string]struct{ text, want string }{
		"without the label":      {head + "metadata: {name: bad}\n", "bad.yaml:3: a ConfigMap here must be a list: write the label registrationpolicy.dev/list: \"true\""},
		"with another value":     {head + "metadata:\n  name: bad\n  labels: {registrationpolicy.dev/list: \"yes\"}\n", "must be a list"},
		"without a name":         {head + "metadata:\n  labels: {registrationpolicy.dev/list: \"true\"}\n", "bad.yaml:3: "},
		"with data that is none": {head + "metadata: {name: bad, labels: {registrationpolicy.dev/list: \"true\"}}\ndata: [{local}@acme.com]\n", "bad.yaml:4: not a ConfigMap"},
		"with an unknown field":  {head + "metadata: {name: bad, labels: {registrationpolicy.dev/list: \"true\"}}\ndatas: {}\n", "bad.yaml:4: datas: unknown field; did you mean data?"},
		"twice":                  {listFile("bad", "a.example") + "---\n" + listFile("bad", "b.example"), "there is another ConfigMap default/bad"},
		"of another kind":        {"apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\n", "or ConfigMap with apiVersion v1 for a list"},
	} {
		t.Run(sentence, func(t *testing.T) {
			f := openDirectory(t, "bad.yaml", test.text)
			if got := f.refused(t); !strings.Contains(got, test.want) {
				t.Errorf("the error is %s\nwant in it %s", got, test.want)
			}
		})
	}
}
