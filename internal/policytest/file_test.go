package policytest_test

import (
	"fmt"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/policytest"
)

const valid = `cases:
- name: partners come in
  email: jo@beta.example
  expect: {outcome: Allow}
`

func TestReadAcceptsEveryMember(t *testing.T) {
	file, err := policytest.Read("x.yaml", []byte(`policies: [., ../shared.yaml]
cases:
- name: a call
  email: jo@beta.example
  login: jo.doe
  source: rul1
  requestType: ProgressiveProfile
  profile: {secondEmail: al@beta.example}
  expect:
    outcome: Deny
    reason: Denied
    policy: default/p
    entry: spec.deny.domains[0]
    message: No.
    profile: {}
    audit: {default/trial: Allow}
- name: several calls
  addresses: [jo@beta.example, al@beta.example]
  expect: {outcome: Allow}
- name: a call as Okta posts it
  request: call.json
  expect: {outcome: Allow}
- name: a set
  every: {addresses: ["*"], except: [beta.example], requestTypes: [SelfServiceRegistration], sources: [rul1]}
  expect: {outcome: Deny}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 4 || file.Cases[1].Line != 17 || file.Cases[3].Every.Except[0] != "beta.example" || len(file.Policies) != 2 {
		t.Errorf("%+v", file)
	}
}

func TestADateInAProfileIsAText(t *testing.T) {
	file, err := policytest.Read("x.yaml", []byte(strings.Replace(valid, "Allow}", "Allow, profile: {since: 2026-01-31, on: [2026-02-01]}}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(file.Cases[0].Expect.Profile); got != "map[on:[2026-02-01] since:2026-01-31]" {
		t.Error(got)
	}
}

func TestReadNamesTheLineAndTheFixOfEachFault(t *testing.T) {
	with := func(old, replaced string) string { return strings.Replace(valid, old, replaced, 1) }
	for sentence, test := range map[string]struct{ text, want string }{
		"an empty file":                 {"", "x.yaml:1: empty: write a list of tests under cases"},
		"only a comment":                {"# nothing\n", "x.yaml:1: empty: write a list of tests under cases"},
		"no case":                       {"cases: []\n", "x.yaml:1: no cases: write a list of tests under cases"},
		"an unknown member":             {with("email", "mail"), "x.yaml:3: unknown member \"mail\": write one of name, email, addresses"},
		"an unknown member of expect":   {with("{outcome", "{result: 1, outcome"), "x.yaml:4: unknown member \"result\": write one of outcome, reason, policy"},
		"an unknown member of the file": {"case: []\n", "x.yaml:1: unknown member \"case\": write one of policies, cases"},
		"a member twice":                {with("  email:", "  name: x\n  email:"), `x.yaml:3: member "name" is there twice, first in line 2: remove one`},
		"a list for a text":             {with("jo@beta.example", "[a, b]"), "x.yaml:3: this is a list: write a text"},
		"a text for a mapping":          {with("{outcome: Allow}", "Allow"), "x.yaml:4: this is a text: write a mapping"},
		"a text for a profile":          {with("Allow}", "Allow, profile: none}"), "x.yaml:4: this is a text: write a mapping"},
		"a mapping for the cases":       {"cases: {a: b}\n", "x.yaml:1: this is a mapping: write a list of mappings"},
		"no name":                       {with("name: partners come in", `name: " "`), "x.yaml:2: the case has no name: write a sentence that says what holds"},
		"two cases of one name":         {valid + strings.TrimPrefix(valid, "cases:\n"), `x.yaml:5: another case has the name "partners come in", in line 2: give it another`},
		"nothing to decide":             {with("email: jo@beta.example", "source: rul1"), "x.yaml:2: write one of email, addresses, request and every"},
		"two things to decide":          {with("  expect", "  request: call.json\n  expect"), "x.yaml:2: write one of email, addresses, request and every"},
		"no outcome":                    {with("{outcome: Allow}", "{reason: Allowed}"), "x.yaml:2: expect has no outcome: write Allow or Deny"},
		"an unknown outcome":            {with("Allow}", "ALLOW}"), `x.yaml:2: expect.outcome: "ALLOW": write one of Allow, Deny`},
		"an unknown reason":             {with("Allow}", "Allow, reason: Fine}"), `x.yaml:2: expect.reason: "Fine": write one of Allowed, NoAddressChanged`},
		"an unknown request type":       {with("  expect", "  requestType: SSR\n  expect"), `x.yaml:2: requestType: "SSR": write one of SelfServiceRegistration, ProgressiveProfile`},
		"a login without email":         {with("email: jo@beta.example", "addresses: [a@b.example]\n  login: jo"), "x.yaml:2: login belongs to email"},
		"every without addresses":       {with("email: jo@beta.example", "every: {except: [a.example]}"), `x.yaml:2: every has no addresses: write entries such as "*.acme.com"`},
		"an empty case":                 {strings.Replace(valid, "- name", "- ~\n- name", 1), "x.yaml:2: an item of a list is empty: write it, or remove it"},
		"an empty path":                 {"policies: [\"\"]\n" + valid, "x.yaml:1: an item of a list is empty: write it, or remove it"},
		"an empty address":              {with("email: jo@beta.example", "addresses: [a@b.example, ~]"), "x.yaml:3: an item of a list is empty"},
		"an empty source":               {with("email: jo@beta.example", "every: {addresses: ['*'], sources: ['']}"), "x.yaml:3: an item of a list is empty"},
		"two documents":                 {valid + "---\n" + valid, "x.yaml: more than one YAML document: write all cases under one cases"},
		"not YAML":                      {"cases: [\n", "x.yaml:"},
		"NUL bytes":                     {"cases:\x00", "x.yaml: not YAML: control characters are not allowed"},
		"invalid UTF-8":                 {"cases: \xff\xfe", "x.yaml: not YAML: "},
		"an alias of itself":            {"cases: &a [*a]\n", "x.yaml"},
		"a large file":                  {strings.Repeat("#", 5<<20), "x.yaml: over 4194304 bytes; split it into several files"},
		"another version":               {"apiVersion: v2\n" + valid, "x.yaml:1: unknown member \"apiVersion\": write one of policies, cases"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := policytest.Read("x.yaml", []byte(test.text))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

func TestReadDoesNotQuoteAnAddressOfTheWrongKind(t *testing.T) {
	_, err := policytest.Read("x.yaml", []byte("cases: jo@beta.example\n"))
	if err == nil || strings.Contains(err.Error(), "jo@") {
		t.Errorf("%v", err)
	}
}

// Whatever the text, Read returns either cases that can be run or an error in which each line names the file.
func FuzzRead(f *testing.F) {
	f.Add([]byte(valid))
	f.Add([]byte("cases: &a [*a]\n"))
	f.Add([]byte("policies: [\"\"]\ncases:\n- every: {addresses: [\"*\"]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := policytest.Read("x.yaml", text)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "x.yaml:") {
					t.Errorf("%q", line)
				}
			}
			return
		}
		for _, c := range file.Cases {
			if c.Name == "" || c.Expect.Outcome == "" || c.Line == 0 {
				t.Errorf("%+v", c)
			}
		}
	})
}
