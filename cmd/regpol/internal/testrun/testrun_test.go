package testrun

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/junit"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

const testedDirectory = "config/samples/gitops"

// testDirectory writes the sample policy, one in mode Audit, and a file with these cases into a directory, and returns it.
func testDirectory(t *testing.T, cases string) string {
	t.Helper()
	dir := t.TempDir()
	policy, err := os.ReadFile(filepath.Join(verbtest.WorkTree, testedDirectory, "partners.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	trial := "\n---\napiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: trial}\n" +
		"spec: {mode: Audit, deny: {domains: [beta.example]}}\n"
	for name, text := range map[string]string{"partners.yaml": string(policy) + trial, "x.regpol-test.yaml": cases} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTheSampleTestsPassAndCoverAll(t *testing.T) {
	got := runRegpol(t, "", "test", testedDirectory, "--coverage", "--fail-under", "100")
	if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "coverage  100 %") {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
}

func TestACaseFailsForEachKindOfExpectation(t *testing.T) {
	const call = "cases:\n- name: a case\n  email: jo@beta.example\n  expect: "
	for sentence, test := range map[string]struct{ cases, want string }{
		"the outcome": {call + "{outcome: Deny}", "jo@beta.example: outcome is Allow, want Deny"},
		"the reason":  {call + "{outcome: Allow, reason: Denied}", "reason is Allowed, want Denied"},
		"the policy":  {call + "{outcome: Allow, policy: default/other}", "policy is registration-policy/partners, want default/other"},
		"the entry":   {call + "{outcome: Allow, entry: 'spec.allow.domains[2]'}", "entry is spec.allow.domains[0], want spec.allow.domains[2]"},
		"the message": {
			"cases:\n- name: a case\n  email: jo@other.example\n  expect: {outcome: Deny, message: No.}",
			"message is Please sign up with the address of a partner., want No.",
		},
		"the profile": {call + "{outcome: Allow, profile: {userType: Guest}}", `profile is {"userType":"Partner"}, want {"userType":"Guest"}`},
		"the audit":   {call + "{outcome: Allow, audit: {default/trial: Allow}}", "audit of default/trial is Deny, want Allow"},
		"a set": {
			"cases:\n- name: a case\n  every: {addresses: ['*.beta.example']}\n  expect: {outcome: Allow}",
			"user@contractors.beta.example: outcome is Deny, want Allow\n    denied by registration-policy/partners spec.deny.domains[0]",
		},
		"a set that is nearly right": {
			"cases:\n- name: a case\n  every: {addresses: ['*'], except: [beta.example, '*.beta.example']}\n  expect: {outcome: Deny}",
			"user@gamma.example: outcome is Allow, want Deny\n    allowed by registration-policy/partners spec.allow.domains[2]",
		},
		"one of several calls": {
			"cases:\n- name: a case\n  addresses: [jo@beta.example, jo@other.example]\n  expect: {outcome: Allow}",
			"jo@other.example: outcome is Deny, want Allow\n    denied   jo@other.example\n    reason   NotAllowed",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "", "test", testDirectory(t, test.cases))
			if got.Code != console.ExitDenied || !strings.Contains(got.Out, test.want) || !strings.Contains(got.Out, "\nFAIL  ") {
				t.Errorf("exit code %d\n%s%s\nwant %s", got.Code, got.Out, got.Err, test.want)
			}
		})
	}
}

// Without a list by which it denies, a policy denies everything: a promise of denials would hold, whatever it allows.
func TestAPromiseNeedsEachListAsAFile(t *testing.T) {
	dir := verbtest.WriteFiles(t, map[string]string{
		"p.yaml":             verbtest.Header + "p}\nspec: {allow: {domains: [evil.example]}, deny: {lists: [{configMap: {name: disposable}}]}}\n",
		"p.regpol-test.yaml": "cases:\n- name: nobody from evil\n  every: {addresses: [evil.example]}\n  expect: {outcome: Deny}\n",
	})
	got := runRegpol(t, "", "test", dir)
	if got.Code != console.ExitUsage || !strings.Contains(got.Err, "every: cannot be proven without all lists: "+
		filepath.Join(dir, "p.yaml")+":4: no file has the list disposable of default/p; add its ConfigMap as a file") {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
}

func TestACallOfOktaIsACase(t *testing.T) {
	vector, err := filepath.Abs(filepath.Join(verbtest.WorkTree, "test/vectors/okta/requests/oie-ssr.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := testDirectory(t, "cases:\n- name: a call\n  request: call.json\n  expect: {outcome: Deny, reason: NotAllowed}\n")
	text, err := os.ReadFile(vector)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "call.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "partners.yaml")); err != nil {
		t.Fatal(err)
	}
	policy := "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: p}\nspec: {allow: {domains: [acme.com]}}\n"
	if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	// The directory of the tests also has call.json, which is not a policy: the file names its policies.
	tests := "policies: [p.yaml]\ncases:\n- name: a call\n  request: call.json\n  expect: {outcome: Deny, reason: NotAllowed}\n"
	if err := os.WriteFile(filepath.Join(dir, "x.regpol-test.yaml"), []byte(tests), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runRegpol(t, "", "test", dir); got.Code != console.ExitAllowed {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
}

func TestTestRefusesWhatItCannotRun(t *testing.T) {
	const valid = "cases:\n- name: a case\n  email: jo@beta.example\n  expect: {outcome: Allow}\n"
	for sentence, test := range map[string]struct {
		cases string
		args  []string
		want  string
	}{
		"a member that is unknown":      {strings.Replace(valid, "email", "mail", 1), nil, `x.regpol-test.yaml:3: unknown member "mail"`},
		"no case of that name":          {valid, []string{"--run", "nothing"}, `--run: no case has a name that matches "nothing"`},
		"no regular expression":         {valid, []string{"--run", "("}, `--run: "(" is not a regular expression`},
		"a percentage over 100":         {valid, []string{"--fail-under", "101"}, "--fail-under: 101 is not a percentage"},
		"a set without addresses":       {"cases:\n- name: a\n  every: {addresses: [co.uk], except: [co.uk]}\n  expect: {outcome: Deny}", nil, "x.regpol-test.yaml:2: every: there is no address in the set"},
		"an entry that is not one":      {"cases:\n- name: a\n  every: {addresses: [acme.com.]}\n  expect: {outcome: Deny}", nil, "x.regpol-test.yaml:2: every: addresses[0]: "},
		"policies that are not there":   {"policies: [nowhere]\n" + valid, nil, "nowhere"},
		"a request from standard input": {"cases:\n- name: a\n  request: '-'\n  expect: {outcome: Deny}", nil, "x.regpol-test.yaml:2: read the call: "},
		"the audit of a policy that is enforced": {
			strings.Replace(valid, "Allow}", "Allow, audit: {registration-policy/partners: Allow}}", 1), nil,
			"x.regpol-test.yaml:2: expect.audit: no policy registration-policy/partners is in mode Audit",
		},
		"a profile with another address": {
			strings.Replace(valid, "  expect", "  profile: {email: al@beta.example}\n  expect", 1), nil,
			"x.regpol-test.yaml:2: profile has email, which the addresses of the case give",
		},
		"the audit of no policy": {
			strings.Replace(valid, "Allow}", "Allow, audit: {default/typo: Allow}}", 1), nil, "expect.audit: no policy default/typo is in mode Audit",
		},
		"a request that is not there": {"cases:\n- name: a\n  request: nowhere.json\n  expect: {outcome: Deny}", nil, "x.regpol-test.yaml:2: read the call: "},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "", append([]string{"test", testDirectory(t, test.cases)}, test.args...)...)
			if got.Code != console.ExitUsage || !strings.Contains(got.Err, test.want) {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
	if got := runRegpol(t, "", "test", t.TempDir()); got.Code != console.ExitUsage || !strings.Contains(got.Err, "no test in ") {
		t.Errorf("a directory without tests: exit code %d\n%s", got.Code, got.Err)
	}
}

func TestCoverageNamesWhatNoCaseTouches(t *testing.T) {
	dir := testDirectory(t, "cases:\n- name: a case\n  email: jo@beta.example\n  expect: {outcome: Allow}\n")
	got := runRegpol(t, "", "test", dir, "--coverage", "--fail-under", "50")
	if got.Code != console.ExitDenied || !strings.Contains(got.Err, "the cases cover 33 % of the entries, below --fail-under 50") ||
		!strings.Contains(got.Out, "no case covers registration-policy/partners spec.deny.domains[0] ("+filepath.Join(dir, "partners.yaml")+":15)") {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
}

func TestTheReportsOfTestAreJSONAndJUnit(t *testing.T) {
	dir := testDirectory(t, "cases:\n- name: right\n  email: jo@beta.example\n  expect: {outcome: Allow}\n"+
		"- name: wrong <&\n  email: jo@beta.example\n  expect: {outcome: Deny}\n")
	var report testReport
	if err := json.Unmarshal([]byte(runRegpol(t, "", "test", dir, "-o", "json").Out), &report); err != nil {
		t.Fatal(err)
	}
	if report.Passed != 1 || report.Failed != 1 || report.Files[0].Cases[1].Failures[0].Call != "jo@beta.example" {
		t.Errorf("%+v", report)
	}
	var suites junit.Suites
	if err := xml.Unmarshal([]byte(runRegpol(t, "", "test", dir, "-o", "junit").Out), &suites); err != nil {
		t.Fatal(err)
	}
	failed := suites.Suites[0].Cases[1]
	if suites.Tests != 2 || suites.Failures != 1 || failed.Name != "wrong <&" || failed.Failure == nil || !strings.Contains(failed.Failure.Text, "reason   Allowed") {
		t.Errorf("%+v", suites)
	}
}

func TestTheExamplesOfTestRun(t *testing.T) {
	for line := range strings.Lines(Command(console.Streams{}).Example) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "regpol ") {
			continue
		}
		line = strings.TrimSuffix(line, " --watch") // it would run until an interrupt
		if got := runRegpol(t, "", strings.Fields(line)[1:]...); got.Code != console.ExitAllowed || got.Out == "" {
			t.Errorf("%s: exit code %d\n%s%s", line, got.Code, got.Out, got.Err)
		}
	}
}

func TestThePageOfTestHasItsFlagsAndOutput(t *testing.T) {
	verbtest.Page(t, Command, "regpol-test.md")
}
