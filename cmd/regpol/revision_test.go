package main

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/test/fixture"
)

// policyOf returns the text of a policy that allows domains.
func policyOf(name, domains string) string {
	return verbtest.Header + name + "}\nspec:\n  allow:\n    domains: [" + domains + "]\n"
}

// policyRepository returns a repository in which main allows acme.com, and the work tree beta.example as well.
func policyRepository(t *testing.T) *fixture.Repository {
	t.Helper()
	r := fixture.NewRepository(t)
	r.Commit(map[string]string{
		"policies/p.yaml":             policyOf("p", "acme.com"),
		"policies/p.regpol-test.yaml": "cases:\n- name: acme comes in\n  email: jo@acme.com\n  expect: {outcome: Allow}\n",
		"policies/team/t.yaml":        policyOf("t", "team.example"),
		"policies/team/t.regpol-test.yaml": "policies: [., ..]\ncases:\n- name: the team comes in\n  addresses: [jo@team.example, jo@acme.com]\n" +
			"  expect: {outcome: Allow}\n- name: a call\n  request: call.txt\n  expect: {outcome: Deny}\n",
		"policies/team/call.txt": "{}",
		"policies/.draft/d.yaml": "not a policy",
	})
	r.Write(map[string]string{"policies/p.yaml": policyOf("p", "acme.com, beta.example"), "policies/p.regpol-test.yaml": "cases: []\n"})
	return r
}

func TestVerbsReadARevision(t *testing.T) {
	policyRepository(t)
	for sentence, test := range map[string]struct {
		args string
		code int
		want string // in the output
	}{
		"explain by the work tree":       {"explain jo@beta.example --policies policies", console.ExitAllowed, "policies/p.yaml:6"},
		"explain by a branch":            {"explain jo@beta.example --policies policies --at main", console.ExitDenied, "NotAllowed"},
		"explain names the line":         {"explain jo@acme.com --policies policies --at main", console.ExitAllowed, "at       main:policies/p.yaml:6\n"},
		"explain by a file of it":        {"explain jo@acme.com --policies policies/p.yaml --at main", console.ExitAllowed, "main:policies/p.yaml:6"},
		"explain -R by the work tree":    {"explain jo@team.example --policies policies -R", console.ExitAllowed, "policies/team/t.yaml:6"},
		"explain -R by a branch":         {"explain jo@team.example --policies policies -R --at main", console.ExitAllowed, "main:policies/team/t.yaml:6"},
		"explain without -R":             {"explain jo@team.example --policies policies", console.ExitDenied, "NotAllowed"},
		"diff from a branch":             {"diff --at main policies --fail-on widen", console.ExitDenied, "(policies/p.yaml:6)\n"},
		"diff between revisions":         {"diff --at main --at HEAD policies", console.ExitAllowed, "No change"},
		"diff from a revision of a path": {"diff --at main policies/p.yaml policies/team", console.ExitAllowed, "(main:policies/p.yaml:6)"},
		"diff -R":                        {"diff policies -R policies/p.yaml", console.ExitAllowed, "(policies/team/t.yaml:6)"},
		"diff -R from a branch":          {"diff --at main -R policies", console.ExitAllowed, "1 change: 1 newly allowed"},
		"lint of the work tree":          {"lint -R policies", console.ExitAllowed, "0 errors, 0 warnings in 2 policies\n"},
		"lint -R of a branch":            {"lint --at main -R policies", console.ExitAllowed, "in 2 policies\n"},
		"lint of a branch":               {"lint --at main policies", console.ExitAllowed, "0 errors, 0 warnings in 1 policy\n"},
		"test of a branch":               {"test --at main policies", console.ExitAllowed, "ok    main:policies/p.regpol-test.yaml  1 case\n"},
		"test -R of a branch":            {"test --at main -R policies", console.ExitAllowed, "ok    main:policies/team/t.regpol-test.yaml  2 cases\n"},
		"test of a file of a branch":     {"test --at main policies/team/t.regpol-test.yaml --coverage", console.ExitAllowed, "coverage  100 %"},
		"test of the working directory":  {"test --at main -R", console.ExitAllowed, "ok    main:policies/p.regpol-test.yaml"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runIn(t, "", strings.Fields(test.args)...)
			if got.Code != test.code || !strings.Contains(got.Out, test.want) || got.Err != "" {
				t.Errorf("exit code %d\n%s%swant %s", got.Code, got.Out, got.Err, test.want)
			}
		})
	}
}

// A pull request that adds the first policies has nothing to compare them with.
func TestDiffWithARevisionThatHasNoPoliciesYet(t *testing.T) {
	r := fixture.NewRepository(t)
	r.Commit(nil)
	r.Write(map[string]string{"policies/p.yaml": policyOf("p", "acme.com")})
	got := runIn(t, "", "diff", "--at", "main", "policies")
	if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "Newly allowed\n  acme.com\n") ||
		got.Err != "regpol: warning: main:policies is not there: compared with no policy, which denies every registration\n" {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
}

func TestWhatARevisionLacksIsNamed(t *testing.T) {
	policyRepository(t)
	for sentence, test := range map[string]struct{ args, want string }{
		"an unknown revision": {"explain a@b.example --policies policies --at moon",
			`"moon" is not a revision of the Git repository of policies: write a branch, tag or commit; in a pipeline, fetch it before`},
		"a path that it lacks":         {"explain a@b.example --policies nowhere --at main", "nowhere is not in the revision main: write a path that the revision has"},
		"a path that NEW lacks":        {"diff --at main nowhere", "nowhere: no such file or directory"},
		"an OLD that is written":       {"diff --at main nowhere policies", "nowhere is not in the revision main: write a path that the revision has"},
		"tests that it lacks":          {"test --at main nowhere", "nowhere is not in the revision main"},
		"a directory without tests":    {"test --at main policies/.draft", "no test in main:policies/.draft: write one"},
		"a directory without policies": {"explain a@b.example --policies . --at main", "no policy in main:.: give a file or directory that has RegistrationPolicies, or -R"},
		"a mistake in a policy":        {"explain a@b.example --policies policies/.draft --at main", "main:policies/.draft/d.yaml:1"},
		"standard input":               {"explain a@b.example --policies - --at main", "--at belongs to files and directories, not to standard input"},
		"a cluster":                    {"explain a@b.example --at main", "--at and -R belong to files: give --policies with them"},
		"a cluster for diff":           {"diff --at main policies -n default", "give --at, or a cluster: OLD is one of them"},
		"three revisions":              {"diff --at a --at b --at c policies", "give --at at most twice: for OLD, and for NEW"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runIn(t, "", strings.Fields(test.args)...)
			if got.Code != console.ExitUsage || !strings.Contains(got.Err, test.want) || got.Out != "" {
				t.Errorf("exit code %d\n%s%swant %s", got.Code, got.Out, got.Err, test.want)
			}
		})
	}
}
