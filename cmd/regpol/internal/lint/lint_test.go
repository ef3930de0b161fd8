package lint

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/junit"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

const lintDirectory = "cmd/regpol/testdata/lint"

// lintPolicy returns a file with a policy in the default namespace.
func lintPolicy(name, spec string) string {
	return "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

func TestTheSamplesHaveNoErrors(t *testing.T) {
	if got := runRegpol(t, "", "lint", "-R", "config/samples/quickstart", "config/samples/gitops", "--fail-on", "warning"); got.Code != console.ExitAllowed {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
	// Samples that are alternatives warn of each other.
	got := runRegpol(t, "", "lint", "config/samples")
	if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "\n0 errors, ") {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
	samples, err := filepath.Glob(filepath.Join(verbtest.WorkTree, "config/samples/*.yaml"))
	if err != nil || len(samples) == 0 {
		t.Fatal(samples, err)
	}
	for _, sample := range samples {
		if got := runRegpol(t, "", "lint", sample); got.Code != console.ExitAllowed {
			t.Errorf("%s: exit code %d\n%s%s", sample, got.Code, got.Out, got.Err)
		}
	}
}

func TestTheExitCodeOfLintFollowsFailOn(t *testing.T) {
	warned, wrong := lintPolicy("p", "{allow: {domains: [gmail.com]}}"), lintPolicy("p", "{allow: {domains: [com]}}")
	clean := lintPolicy("p", "{allow: {domains: [acme.org]}}")
	for _, test := range []struct {
		text, failOn string
		want         int
	}{
		{clean, "error", console.ExitAllowed}, {clean, "warning", console.ExitAllowed}, {warned, "error", console.ExitAllowed}, {warned, "warning", console.ExitDenied},
		{wrong, "error", console.ExitDenied}, {wrong, "warning", console.ExitDenied},
	} {
		if got := runRegpol(t, test.text, "lint", "-", "--fail-on", test.failOn); got.Code != test.want || got.Err != "" {
			t.Errorf("--fail-on %s: exit code %d, want %d\n%s%s", test.failOn, got.Code, test.want, got.Out, got.Err)
		}
	}
}

func TestLintReadsDirectoriesBelowOnlyWithR(t *testing.T) {
	dir := verbtest.WriteFiles(t, map[string]string{
		"a.yaml": lintPolicy("a", "{allow: {domains: [acme.org]}}"), "below/b.yaml": lintPolicy("b", "{deny: {domains: [ru.]}}"),
		".git/c.yaml": "- no policy", "below/x.regpol-test.yaml": "cases: []", "README.md": "no policy",
	})
	if got := runRegpol(t, "", "lint", dir); got.Out != "0 errors, 0 warnings in 1 policy\n" {
		t.Errorf("without -R: %s%s", got.Out, got.Err)
	}
	got := runRegpol(t, "", "lint", "-R", dir, filepath.Join(dir, "a.yaml"))
	want := filepath.Join(dir, "below", "b.yaml") +
		`:4:25: error: spec.deny.domains[0]: "ru." ends in a dot: write ru [invalid-entry]` + "\n1 error, 0 warnings in 2 policies\n"
	if got.Code != console.ExitDenied || got.Out != want {
		t.Errorf("with -R: exit code %d\n%s%s\nwant %s", got.Code, got.Out, got.Err, want)
	}
}

func TestLintSaysWhatItLeavesOut(t *testing.T) {
	text := lintPolicy("p", "{allow: {domains: [acme.org]}}") + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
	got := runRegpol(t, text, "lint", "-", "--namespace-sources", "team=rul1")
	for _, want := range []string{
		"regpol: warning: ignored, because it is not a policy: stdin:7: Secret\n",
		"regpol: warning: --namespace-sources: no policy in namespace team: is it misspelt?\n",
	} {
		if !strings.Contains(got.Err, want) {
			t.Errorf("%s\nwant %s", got.Err, want)
		}
	}
}

func TestTheReportsOfLintHaveTheSameFindings(t *testing.T) {
	var want lintReport
	got := runRegpol(t, "", "lint", lintDirectory, "-o", "json")
	if err := json.Unmarshal([]byte(got.Out), &want); err != nil || got.Code != console.ExitDenied {
		t.Fatal(err, got)
	}
	if want.Errors != 2 || want.Warnings != 2 || want.Policies != 2 || len(want.Findings) != 4 || want.Findings[0].Corrected != "domains" {
		t.Errorf("%+v", want)
	}
	t.Run("yaml", func(t *testing.T) {
		var report lintReport
		if err := yaml.UnmarshalStrict([]byte(runRegpol(t, "", "lint", lintDirectory, "-o", "yaml").Out), &report); err != nil ||
			!slices.Equal(report.Findings, want.Findings) {
			t.Errorf("%+v, %v", report, err)
		}
	})
	t.Run("github", func(t *testing.T) {
		lines := strings.Split(strings.TrimSpace(runRegpol(t, "", "lint", lintDirectory, "-o", "github").Out), "\n")
		if len(lines) != len(want.Findings) {
			t.Fatalf("%d lines", len(lines))
		}
		const first = "::error file=cmd/regpol/testdata/lint/customers.yaml,line=8,col=5,title=unknown-field::" +
			"spec.allow.domain: unknown field; did you mean domains?"
		if lines[0] != first || !strings.HasPrefix(lines[2], "::warning file=cmd/regpol/testdata/lint/partners.yaml,line=7,col=21,") {
			t.Errorf("%s", lines)
		}
	})
	t.Run("sarif", func(t *testing.T) { testSARIF(t, want.Findings) })
	t.Run("junit", func(t *testing.T) {
		var suites junit.Suites
		if err := xml.Unmarshal([]byte(runRegpol(t, "", "lint", lintDirectory, "-o", "junit").Out), &suites); err != nil {
			t.Fatal(err)
		}
		if suites.Tests != 2 || suites.Failures != 2 || len(suites.Suites) != 2 {
			t.Fatalf("%+v", suites)
		}
		partners := suites.Suites[slices.IndexFunc(suites.Suites, func(s junit.Suite) bool { return strings.HasSuffix(s.Name, "partners.yaml") })].Cases[0]
		if partners.Name != "default/partners" || partners.Line != 4 || partners.Failure == nil || partners.Failure.Message != "1 finding" ||
			!strings.Contains(partners.Failure.Text, "[not-in-force]") || !strings.Contains(partners.Output, "[mailbox-provider]") {
			t.Errorf("%+v", partners)
		}
	})
}

// testSARIF checks what SARIF 2.1.0 requires of the properties that are written, and what GitHub's code scanning needs.
func testSARIF(t *testing.T, want []findingReport) {
	t.Helper()
	var log struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string `json:"name"`
					Rules []struct {
						ID string `json:"id"`
					} `json:"rules"`
				} `json:"driver"`
			} `json:"tool"`
			Results []struct {
				RuleID    string `json:"ruleId"`
				RuleIndex int    `json:"ruleIndex"`
				Level     string `json:"level"`
				Message   struct {
					Text string `json:"text"`
				} `json:"message"`
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct {
							URI string `json:"uri"`
						} `json:"artifactLocation"`
						Region struct {
							StartLine   int `json:"startLine"`
							StartColumn int `json:"startColumn"`
						} `json:"region"`
					} `json:"physicalLocation"`
				} `json:"locations"`
			} `json:"results"`
		} `json:"runs"`
	}
	if err := json.Unmarshal([]byte(runRegpol(t, "", "lint", lintDirectory, "-o", "sarif").Out), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || !strings.Contains(log.Schema, "sarif-2.1.0") || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name == "" {
		t.Fatalf("%+v", log)
	}
	run := log.Runs[0]
	if len(run.Results) != len(want) {
		t.Fatalf("%d results", len(run.Results))
	}
	for i, result := range run.Results {
		at := result.Locations[0].PhysicalLocation
		if result.RuleID != want[i].ID || run.Tool.Driver.Rules[result.RuleIndex].ID != want[i].ID || result.Level != string(want[i].Severity) ||
			result.Message.Text != want[i].sentence() || at.ArtifactLocation.URI != want[i].File ||
			at.Region.StartLine != want[i].Line || at.Region.StartColumn != want[i].Column {
			t.Errorf("%+v\nwant %+v", result, want[i])
		}
	}
	if out := runRegpol(t, "", "lint", "config/samples/quickstart", "-o", "sarif").Out; !strings.Contains(out, `"results": []`) {
		t.Errorf("without findings: %s", out)
	}
	for path, want := range map[string]string{"a b/ü:%.yaml": "a%20b/%C3%BC:%25.yaml", "/tmp/a.yaml": "file:///tmp/a.yaml"} {
		if got := fileURI(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func TestWorkflowCommandsAreEscaped(t *testing.T) {
	r := lintReport{Findings: []findingReport{
		{ID: "x", Severity: "error", File: "a,b:%\n.yaml", Line: 1, Column: 2, Path: "spec", Message: "100 %\nof, a: b"},
		{ID: "x", Severity: "warning", Policy: "ns/p", Path: "spec", Message: "m"},
	}}
	const want = "::error file=a%2Cb%3A%25%0A.yaml,line=1,col=2,title=x::spec: 100 %25%0Aof, a: b\n::warning title=x::ns/p: spec: m\n"
	if got := string(r.github()); got != want {
		t.Errorf("%s", got)
	}
}

func TestNoOutputOfLintHasALocalPart(t *testing.T) {
	const local = "lprivate7"
	text := lintPolicy("p", "{allow: {domains: ['"+local+"@acme.org'], addresses: ['"+local+"@acme', 'mailto:"+local+"@acme.org']}}") +
		"---\n" + lintPolicy("q", "{allow: {addresses: ["+local+"@acme.org, "+strings.ToUpper(local)+"@acme.org]}, "+
		"profile: [{attribute: a, value: 012}]}") +
		"---\n" + lintPolicy("r", "{'"+local+"@acme.org': x, allow: {addresses: "+local+", user: "+local+"}}")
	for _, output := range lintOutputs {
		if got := runRegpol(t, text, "lint", "-", "-o", output); got.Code != console.ExitDenied || got.Out == "" ||
			strings.Contains(strings.ToLower(got.Out+got.Err), local) || strings.Contains(got.Out, `"012"`) {
			t.Errorf("%s: exit code %d\n%s%s", output, got.Code, got.Out, got.Err)
		}
	}
	if got := runRegpol(t, text, "lint", "-", "--show-addresses"); !strings.Contains(got.Out, local+"@acme.org") {
		t.Errorf("--show-addresses: %s", got.Out)
	}
}

func TestLintRefusesWhatItCannotRead(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	dir := verbtest.WriteFiles(t, map[string]string{
		"binary.yaml": "\x7fELF\x02\x01\x01\x00\x00", "nul.yaml": "a: \x00", "latin1.yaml": "a: \xfcber", "tab.yaml": "a:\n\t- b",
		"cyclic.yaml":  "a: &a [*a]\n",
		"merged.yaml":  "&p\n<<: *p\napiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\n",
		"laughs.yaml":  "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + bomb(),
		"big.yaml":     strings.Repeat("#", 5<<20),
		"comment.yaml": "# no policy\n",
	})
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "big.yaml"), 100<<20); err != nil { // sparse
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"binary.yaml": "not YAML: ", "nul.yaml": "not YAML: control characters", "latin1.yaml": "not YAML: ", "tab.yaml": "indent with spaces",
		"cyclic.yaml": "this one stands for a value that it is in", "merged.yaml": "this one stands for a value that it is in",
		"laughs.yaml": "not YAML: document contains excessive aliasing", "big.yaml": "over 4194304 bytes; split it into several files",
		"comment.yaml": "no policy in ", "dangling.yaml": "no such file", "nowhere": "no such file",
	} {
		got := runRegpol(t, "", "lint", filepath.Join(dir, name))
		if got.Code != console.ExitUsage || got.Out != "" || !strings.Contains(got.Err, want) || strings.Count(got.Err, "\n") != 1 {
			t.Errorf("%s: exit code %d\n%s%.500s\nwant %s", name, got.Code, got.Out, got.Err, want)
		}
	}
	for want, args := range map[string][]string{
		`-o: "xml": write one of text, json, yaml, sarif, github, junit`: {".", "-o", "xml"},
		`--fail-on: "any": write one of error, warning`:                  {".", "--fail-on", "any"},
		"--namespace-sources: ":                                          {".", "--namespace-sources", "x"},
		"give only one of PATH and --context":                            {".", "--context", "x"},
		"--recursive and --at: give a PATH too":                          {"-R"},
		"no policies: give files with PATH, or a clu":                    {},
	} {
		if got := runRegpol(t, "", append([]string{"lint"}, args...)...); got.Code != console.ExitUsage || !strings.Contains(got.Err, want) {
			t.Errorf("%q: exit code %d\n%s", args, got.Code, got.Err)
		}
	}
}

// bomb returns lines of YAML that grow tenfold each, by aliases.
func bomb() string {
	var w strings.Builder
	for c := 'b'; c < 'k'; c++ {
		w.WriteString(string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 10), ", ") + "]\n")
	}
	return w.String()
}

func TestTheExamplesOfLintRun(t *testing.T) {
	for line := range strings.Lines(Command(console.Streams{}).Example) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "regpol ") || strings.Contains(line, "registration-policy") { // a cluster
			continue
		}
		if got := runRegpol(t, "", strings.Fields(line)[1:]...); got.Code != console.ExitAllowed {
			t.Errorf("%s: exit code %d\n%s%s", line, got.Code, got.Out, got.Err)
		}
	}
}

func TestThePageOfLintHasItsFlagsAndOutput(t *testing.T) {
	verbtest.Page(t, Command, "regpol-lint.md")
}
