package diff

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

const (
	goldenFiles = "cmd/regpol/internal/diff/testdata/"
	oldPolicies = "cmd/regpol/testdata/diff/old"
	newPolicies = "cmd/regpol/testdata/diff/new"
)

func TestGoldenDifferences(t *testing.T) {
	for name, args := range map[string][]string{
		"diff.txt":         {oldPolicies, newPolicies},
		"diff-verbose.txt": {oldPolicies, newPolicies, "-v", "--show-addresses"},
		"diff.json":        {oldPolicies, newPolicies, "-o", "json"},
		"diff.md":          {oldPolicies, newPolicies, "-o", "markdown"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runRegpol(t, "", append([]string{"diff"}, args...)...)
			if got.Code != console.ExitAllowed || got.Err != "" {
				t.Errorf("exit code %d, %s", got.Code, got.Err)
			}
			verbtest.Golden(t, goldenFiles+name, got.Out)
		})
	}
}

func TestDiffPrintsNoLocalPartUnlessAsked(t *testing.T) {
	for _, output := range []string{"text", "markdown", "json", "yaml"} {
		if got := runRegpol(t, "", "diff", oldPolicies, newPolicies, "-v", "-o", output); strings.Contains(got.Out+got.Err, "eve@") {
			t.Errorf("-o %s prints a local part:\n%s", output, got.Out)
		}
	}
	if got := runRegpol(t, "", "diff", oldPolicies, newPolicies, "--show-addresses"); !strings.Contains(got.Out, "eve@beta.example") {
		t.Errorf("--show-addresses does not print it:\n%s", got.Out)
	}
}

func TestDiffEndsWithTheCodeOfFailOn(t *testing.T) {
	narrower := filepath.Join(t.TempDir(), "narrower.yaml")
	if err := os.WriteFile(narrower, []byte(strings.Join([]string{
		"apiVersion: registrationpolicy.dev/v1alpha1", "kind: RegistrationPolicy", "metadata: {name: partners}",
		"spec: {allow: {domains: [beta.example]}, deny: {addresses: [eve@beta.example]}, message: Please sign up with the address of a partner.}",
	}, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for sentence, test := range map[string]struct {
		args []string
		want int
	}{
		"without --fail-on, changes are no failure": {[]string{oldPolicies, newPolicies}, console.ExitAllowed},
		"a change that widens":                      {[]string{oldPolicies, newPolicies, "--fail-on", "widen"}, console.ExitDenied},
		"nothing widens":                            {[]string{oldPolicies, narrower, "--fail-on", "widen"}, console.ExitAllowed},
		"a change that narrows":                     {[]string{oldPolicies, narrower, "--fail-on", "widen,narrow"}, console.ExitDenied},
		"any change":                                {[]string{oldPolicies, narrower, "--fail-on", "any"}, console.ExitDenied},
		"no change":                                 {[]string{oldPolicies, oldPolicies, "--fail-on", "any"}, console.ExitAllowed},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := runRegpol(t, "", append([]string{"diff"}, test.args...)...); got.Code != test.want {
				t.Errorf("exit code %d, want %d\n%s%s", got.Code, test.want, got.Out, got.Err)
			}
		})
	}
}

// A policy that lacks a list denies everything, so that a change of it would seem to change nothing.
func TestDiffDoesNotVouchForListsThatNoFileHas(t *testing.T) {
	policy := func(spec string) string {
		return verbtest.WritePolicies(t, verbtest.Header+"partners}\nspec: {"+spec+"}\n")
	}
	deny := ", deny: {lists: [{configMap: {name: disposable}}]}"
	old, wider := policy("allow: {domains: [acme.com]}"+deny), policy("allow: {domains: [acme.com, evil.example]}"+deny)
	for sentence, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"the report names them": {[]string{old, wider}, console.ExitAllowed, []string{
			"No change that can be told without the lists that no file has:\n\n  OLD: " + old + ":4: no file has the list disposable of default/partners\n",
			"  NEW: " + wider + ":4: no file has the list disposable of default/partners\n",
		}},
		"so does the comment for a pull request": {[]string{old, wider, "-o", "markdown"}, console.ExitAllowed, []string{
			"**Who may sign up:** No change that can be told", "\n- NEW: ",
		}},
		"so does JSON":              {[]string{old, wider, "-o", "json"}, console.ExitAllowed, []string{`"notCompared": [`}},
		"--fail-on fails":           {[]string{old, wider, "--fail-on", "widen"}, console.ExitUsage, []string{"No change that can be told"}},
		"a known change goes first": {[]string{policy("allow: {domains: [a.com]}"), wider, "--fail-on", "narrow"}, console.ExitDenied, []string{"Not compared, and so perhaps also changed:\n\n  NEW: "}},
		"an allow list, too": {
			[]string{old, policy("allow: {lists: [{configMap: {name: customers}, optional: true}]}"), "--fail-on", "widen"}, console.ExitUsage,
			[]string{"no file has the list customers"},
		},
		"Audit decides nothing": {[]string{old, policy("mode: Audit, allow: {domains: [a.com]}" + deny), "-o", "json"}, console.ExitAllowed, []string{`OLD: `}},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "", append([]string{"diff"}, test.args...)...)
			if got.Code != test.code {
				t.Errorf("exit code %d, want %d\n%s", got.Code, test.code, got.Err)
			}
			for _, want := range test.want {
				if !strings.Contains(got.Out, want) {
					t.Errorf("the report lacks %q:\n%s", want, got.Out)
				}
			}
			if strings.Contains(got.Out, "alike") || sentence == "Audit decides nothing" && strings.Contains(got.Out, "NEW: ") {
				t.Errorf("the report is\n%s", got.Out)
			}
		})
	}
}

func TestDiffRefusesWhatItCannotCompare(t *testing.T) {
	empty := t.TempDir()
	for sentence, test := range map[string]struct {
		args []string
		want string
	}{
		"no argument":                   {nil, "give OLD and NEW, or NEW alone to compare it with a cluster; see regpol diff --help"},
		"three arguments":               {[]string{"a", "b", "c"}, "give OLD and NEW"},
		"OLD and a cluster":             {[]string{oldPolicies, newPolicies, "-n", "default"}, "give OLD and NEW, or a cluster and NEW alone"},
		"standard input twice":          {[]string{"-", "-"}, "OLD and NEW cannot both be standard input"},
		"a word that --fail-on has not": {[]string{oldPolicies, newPolicies, "--fail-on", "wider"}, `--fail-on: "wider": write one of widen, narrow, any`},
		"an output that it has not":     {[]string{oldPolicies, newPolicies, "-o", "xml"}, `-o: "xml": write one of markdown, text, json, yaml`},
		"a file that is not there":      {[]string{oldPolicies, "nowhere.yaml"}, "nowhere.yaml"},
		"no policy on both sides":       {[]string{empty, empty}, "no policy in " + empty},
		"a file that is no policy":      {[]string{oldPolicies, "go.mod"}, "go.mod:"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "", append([]string{"diff"}, test.args...)...)
			if got.Code != console.ExitUsage || !strings.Contains(got.Err, test.want) || got.Out != "" {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
}

func TestDiffSaysWhatIsNotInForce(t *testing.T) {
	policy := `{"apiVersion": "registrationpolicy.dev/v1alpha1", "kind": "RegistrationPolicy", "metadata": {"name": "p"}, "spec": {"allow": {"domains": ["co.uk"]}}}`
	got := runRegpol(t, policy, "diff", "-", newPolicies)
	if got.Code != console.ExitAllowed || !strings.Contains(got.Err, `regpol: warning: OLD: stdin:1: not in force: "co.uk": anyone can register`) {
		t.Errorf("exit code %d\n%s", got.Code, got.Err)
	}
}

func TestThePageOfDiffHasItsFlagsAndOutput(t *testing.T) {
	verbtest.Page(t, Command, "regpol-diff.md")
}

func TestTheReportOfDiffCountsEachKind(t *testing.T) {
	got := runRegpol(t, "", "diff", oldPolicies, newPolicies, "-o", "json")
	var report diffReport
	if err := json.Unmarshal([]byte(got.Out), &report); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, change := range report.Changes {
		counts[change.Kind]++
	}
	for kind, n := range report.Counts {
		if counts[kind] != n {
			t.Errorf("%d changes of kind %s, counted %d", counts[kind], kind, n)
		}
	}
	if !slices.ContainsFunc(report.Changes, func(c changeReport) bool { return c.Kind == "Widened" }) {
		t.Error("no change that widens")
	}
}
