//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/test/assets"
	"registrationpolicy.dev/operator/test/fixture"
)

const gitOpsDirectory = "config/samples/gitops"

// gitOpsRepository returns a repository laid out as docs/policies/git.md says, with the samples committed to main, and
// regpol on the PATH. The working directory is the repository.
func gitOpsRepository(t *testing.T) *fixture.Repository {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "regpol")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	r := fixture.NewRepository(t)
	for name, text := range gitOpsFiles(t) {
		if !strings.Contains(name, "/") && !strings.HasPrefix(name, ".") {
			name = "policies/" + name
		}
		r.Write(map[string]string{name: text})
	}
	r.Commit(nil)
	return r
}

// gitOpsFiles returns the samples by their names, which are relative to their directory.
func gitOpsFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	samples := os.DirFS(filepath.Join(verbtest.WorkTree, filepath.FromSlash(gitOpsDirectory)))
	err := fs.WalkDir(samples, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(samples, name)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// edit replaces a text in a file of the repository.
func edit(t *testing.T, r *fixture.Repository, name, old, replaced string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not have %q", name, old)
	}
	r.Write(map[string]string{name: strings.Replace(string(text), old, replaced, 1)})
}

// shell runs a script as CI systems do: it ends at the first command that fails.
func shell(t *testing.T, script string, variables map[string]string) (out string, failed bool) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	command.Env = os.Environ()
	for name, value := range variables {
		command.Env = append(command.Env, name+"="+value)
	}
	text, err := command.CombinedOutput()
	if _, isExit := errors.AsType[*exec.ExitError](err); err != nil && !isExit {
		t.Fatal(err)
	}
	return string(text), err != nil
}

// request is a pull request, and what its check says.
type request struct {
	edit       func(t *testing.T, r *fixture.Repository)
	mayWiden   bool   // it has the label
	wantFailed string // a part of the command that fails; "" for none
	want       string // in the comment
}

// addPartner adds a partner to the policy, and to the test that says who comes in.
func addPartner(t *testing.T, r *fixture.Repository) {
	edit(t, r, "policies/partners.yaml", "    - gamma.example\n", "    - gamma.example\n    - delta.example\n")
	edit(t, r, "policies/partners.regpol-test.yaml", "gamma.example]", "gamma.example, delta.example]")
}

var requests = map[string]request{
	"a new partner":                 {addPartner, false, "--fail-on widen", "2 newly allowed"},
	"a new partner, with the label": {addPartner, true, "", "2 newly allowed"},
	"a partner more than the tests know": {func(t *testing.T, r *fixture.Repository) {
		edit(t, r, "policies/partners.yaml", "    - gamma.example\n", "    - gamma.example\n    - delta.example\n")
	}, false, "regpol test", ""},
	"a denial more": {func(t *testing.T, r *fixture.Repository) {
		edit(t, r, "policies/partners.yaml", "    - contractors.beta.example\n", "    - contractors.beta.example\n    - interns.beta.example\n")
	}, false, "", "2 newly denied"},
	"a comment": {func(t *testing.T, r *fixture.Repository) {
		edit(t, r, "policies/partners.yaml", "# Two partners", "# Both partners")
	}, false, "", "No change"},
	"a mistake": {func(t *testing.T, r *fixture.Repository) {
		edit(t, r, "policies/partners.yaml", "allow:", "allows:")
	}, false, "regpol lint", ""},
}

// commitRequest commits the edits of a request to the branch feature, while main goes on.
func commitRequest(t *testing.T, r *fixture.Repository, in request) (base string) {
	t.Helper()
	base = r.Git("rev-parse", "HEAD")
	r.Git("switch", "-q", "-c", "feature")
	in.edit(t, r)
	r.Commit(nil)
	r.Git("switch", "-q", "main")
	r.Commit(map[string]string{"policies/team-a/other.yaml": policyOf("other, namespace: registration-policy", "other.example")})
	return base
}

// stubs are programs of the CI system that the test does not have. docker brings the program under test.
var stubs = map[string]string{
	"docker": `case $1 in create) echo container ;; cp) ln -s "$(command -v regpol)" "$3" ;; esac`,
	"gh":     `[[ $1 = pr && $2 = comment && $3 = 7 && -s ${!#} ]] && touch commented`,
}

func writeStubs(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	for name, text := range stubs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/usr/bin/env bash\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// githubStep is a step of a job of GitHub Actions.
type githubStep struct {
	Name, Run, Uses, If string
	Env                 map[string]string
}

func TestTheWorkflowOfGitHubChecksAPullRequest(t *testing.T) {
	var workflow struct {
		Jobs map[string]struct{ Steps []githubStep }
	}
	readGitHub(t, filepath.Join(verbtest.WorkTree, filepath.FromSlash(gitOpsDirectory), ".github", "workflows", "policies.yaml"), &workflow)
	checkGitHubSteps(t, workflow.Jobs["check"].Steps, nil)
}

func TestTheActionOfGitHubChecksAPullRequest(t *testing.T) {
	var action struct {
		Inputs map[string]struct{ Default string }
		Runs   struct{ Steps []githubStep }
	}
	readGitHub(t, filepath.Join(verbtest.WorkTree, ".github", "actions", "regpol", "action.yml"), &action)
	inputs := map[string]string{}
	for name, input := range action.Inputs {
		inputs["${{ inputs."+name+" }}"] = input.Default
	}
	steps := action.Runs.Steps
	if !strings.HasPrefix(steps[0].Run, `go -C "$GITHUB_ACTION_PATH/../../.." build -o "$RUNNER_TEMP/regpol" ./cmd/regpol`+"\n") {
		t.Fatalf("the first step does not build regpol: %s", steps[0].Run)
	}
	steps[0].Run = "ln -s \"$(command -v regpol)\" \"$RUNNER_TEMP/regpol\"\n" + strings.SplitN(steps[0].Run, "\n", 2)[1]
	checkGitHubSteps(t, steps, inputs)
}

// readGitHub reads a workflow or an action.
func readGitHub(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// checkGitHubSteps runs the scripts of steps on each request. inputs has values by their expressions.
func checkGitHubSteps(t *testing.T, steps []githubStep, inputs map[string]string) {
	t.Helper()
	for sentence, in := range requests {
		t.Run(sentence, func(t *testing.T) {
			r := gitOpsRepository(t)
			writeStubs(t)
			commitRequest(t, r, in)
			r.Git("switch", "-q", "--detach", "main")
			r.Git("merge", "-q", "--no-ff", "-m", "merge", "feature") // what actions/checkout checks out
			temporary := t.TempDir()
			variables := map[string]string{
				"RUNNER_TEMP": temporary, "GITHUB_PATH": filepath.Join(temporary, "path"), "GITHUB_STEP_SUMMARY": filepath.Join(temporary, "summary"),
			}
			failed := ""
			for _, step := range steps {
				if step.Uses != "" || !githubCondition(t, step.If, in.mayWiden) {
					continue
				}
				for name, value := range step.Env {
					variables[name] = githubValue(t, value, inputs)
				}
				out, isFailed := shell(t, step.Run, variables)
				t.Logf("%s\n%s", step.Name, out)
				if isFailed {
					failed = step.Run
					break
				}
			}
			failed = strings.ReplaceAll(failed, `"$POLICIES"`, inputs["${{ inputs.policies }}"])
			checkRequest(t, in, failed, filepath.Join(temporary, "summary"))
			if _, err := os.Stat("commented"); in.want != "" && err != nil {
				t.Error("no comment")
			}
			if path, err := os.ReadFile(filepath.Join(temporary, "path")); err != nil || strings.TrimSpace(string(path)) != temporary {
				t.Errorf("the PATH of later steps: %s, %v", path, err)
			}
		})
	}
}

// githubCondition evaluates the condition of a step, for a pull request from a branch of the repository.
func githubCondition(t *testing.T, condition string, mayWiden bool) bool {
	t.Helper()
	switch condition {
	case "", "github.event.pull_request.head.repo.full_name == github.repository",
		"inputs.comment == 'true' && github.event.pull_request.head.repo.full_name == github.repository":
		return true
	case "!contains(github.event.pull_request.labels.*.name, 'may-widen')", "!contains(github.event.pull_request.labels.*.name, inputs.label)":
		return !mayWiden
	}
	t.Fatalf("the test does not know the condition %q", condition)
	return false
}

// githubValue evaluates a value with an expression, such as that of an input.
func githubValue(t *testing.T, value string, inputs map[string]string) string {
	t.Helper()
	if input, found := inputs[value]; found {
		return input
	}
	known := map[string]string{"${{ github.token }}": "token", "${{ github.event.pull_request.number }}": "7"}
	result, found := known[value]
	if !found {
		t.Fatalf("the test does not know the value %q", value)
	}
	return result
}

// checkRequest checks which command failed, and what the comment in a file says.
func checkRequest(t *testing.T, in request, failed, comment string) {
	t.Helper()
	if in.wantFailed == "" && failed != "" || !strings.Contains(failed, in.wantFailed) {
		t.Errorf("failed: %q, want %q", failed, in.wantFailed)
	}
	text, err := os.ReadFile(comment)
	if in.want != "" && (err != nil || !strings.Contains(string(text), in.want)) {
		t.Errorf("comment %q, %v, want %q", text, err, in.want)
	}
	if strings.Contains(string(text), "registration-policy/other") {
		t.Errorf("the comment names a change of main, not of the request:\n%s", text)
	}
}

func TestThePipelineOfGitLabChecksAMergeRequest(t *testing.T) {
	var pipeline struct {
		Policies struct {
			Script  []string
			Results struct {
				Paths   []string
				Reports struct{ JUnit []string }
			} `json:"artifacts"` //nolint:misspell // GitLab's spelling
		}
	}
	if err := yaml.UnmarshalStrict([]byte(gitOpsFiles(t)[".gitlab-ci.yml"]), &map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(gitOpsFiles(t)[".gitlab-ci.yml"]), &pipeline); err != nil {
		t.Fatal(err)
	}
	job := pipeline.Policies
	t.Log("left out: before_script, which clones and builds regpol")
	for sentence, in := range requests {
		t.Run(sentence, func(t *testing.T) {
			r := gitOpsRepository(t)
			variables := map[string]string{"CI_MERGE_REQUEST_DIFF_BASE_SHA": commitRequest(t, r, in)}
			if in.mayWiden {
				variables["CI_MERGE_REQUEST_LABELS"] = "urgent,may-widen"
			}
			r.Git("switch", "-q", "--detach", "feature")
			failed := ""
			for _, script := range job.Script {
				out, isFailed := shell(t, script, variables)
				t.Logf("%s\n%s", script, out)
				if isFailed {
					failed = script
					break
				}
			}
			checkRequest(t, in, failed, job.Results.Paths[0])
			for _, report := range job.Results.Reports.JUnit {
				text, err := os.ReadFile(report)
				if report == "test.xml" && sentence != "a mistake" && (err != nil || !strings.Contains(string(text), "<testsuites ")) {
					t.Errorf("%s: %q, %v", report, text, err)
				}
			}
		})
	}
}

func TestTheHookChecksWhatIsStaged(t *testing.T) {
	r := gitOpsRepository(t)
	hook := gitOpsFiles(t)[".githooks/pre-commit"]
	r.Write(map[string]string{".githooks/pre-commit": hook})
	if err := os.Chmod(".githooks/pre-commit", 0o700); err != nil {
		t.Fatal(err)
	}
	r.Commit(nil)
	r.Git("config", "core.hooksPath", ".githooks")

	good := gitOpsFiles(t)["partners.yaml"]
	edit(t, r, "policies/partners.yaml", "    - gamma.example\n", "    - gamma.example\n    - delta.example\n")
	r.Git("add", "-A")
	r.Write(map[string]string{"policies/partners.yaml": good})
	if out, failed := shell(t, "git commit -m x", nil); !failed || !strings.Contains(out, "user@delta.example: outcome is Allow, want Deny") {
		t.Errorf("a staged mistake is committed:\n%s", out)
	}

	r.Write(map[string]string{"policies/partners.yaml": strings.Replace(good, "allow:", "allows:", 1)})
	r.Git("add", "-A")
	r.Write(map[string]string{"policies/partners.yaml": good})
	if out, failed := shell(t, "git commit -m x", nil); !failed || !strings.Contains(out, "[unknown-field]") {
		t.Errorf("a staged fault that lint finds is committed:\n%s", out)
	}

	r.Write(map[string]string{"policies/partners.yaml": strings.Replace(good, "    - gamma.example\n", "    - gamma.example\n    - \"*.gamma.example\"\n", 1)})
	edit(t, r, "policies/partners.regpol-test.yaml", "gamma.example]", "gamma.example, \"*.gamma.example\"]")
	r.Git("add", "-A")
	r.Write(map[string]string{"policies/partners.yaml": strings.Replace(good, "allow:", "allows:", 1)})
	if out, failed := shell(t, "git commit -m x", nil); failed || !strings.Contains(out, "Newly allowed\n  *.gamma.example\n") {
		t.Errorf("a staged change is not committed, because of the work tree:\n%s", out)
	}

	first := fixture.NewRepository(t)
	first.Write(map[string]string{"policies/partners.yaml": good, "policies/partners.regpol-test.yaml": gitOpsFiles(t)["partners.regpol-test.yaml"]})
	first.Git("add", "-A")
	if out, failed := shell(t, hook, nil); failed || !strings.Contains(out, "4 cases") {
		t.Errorf("the first commit of a repository:\n%s", out)
	}
}

func TestTheHealthCheckOfArgoCDIsThatOfThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(verbtest.WorkTree, "docs", "platform", "fleet.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(gitOpsFiles(t)["deploy/argocd-cm.yaml"], "\n")
	if !strings.Contains(string(page), "```yaml\n"+sample+"```") {
		t.Errorf("docs/platform/fleet.md, which test/install tests, does not have\n%s", sample)
	}
}

func TestThePageNamesEveryFileOfTheSample(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(verbtest.WorkTree, "docs", "policies", "git.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range gitOpsFiles(t) {
		if !strings.Contains(string(page), "(../../"+gitOpsDirectory+"/"+name+")") {
			t.Errorf("the page does not link %s", name)
		}
	}
}

// runApply runs the script that applies policies with kubectl. It waits until they are Ready, which the operator would
// say; here, the test does.
func (c *testCluster) runApply(t *testing.T) {
	gitOpsRepository(t)
	t.Setenv("KUBECONFIG", c.kubeconfig)
	t.Setenv("PATH", os.Getenv(assets.Variable)+string(os.PathListSeparator)+os.Getenv("PATH"))
	script := gitOpsFiles(t)["deploy/apply.sh"]
	if out, failed := shell(t, strings.Replace(script, "--timeout=60s", "--timeout=1ms", 1), nil); !failed || !strings.Contains(out, "timed out waiting") {
		t.Errorf("it does not wait:\n%s", out)
	}
	generation := func(name string) string {
		return c.kubectl(t, "get", "-n", "registration-policy", name, "-o", "jsonpath={.metadata.generation}")
	}
	for name := range strings.FieldsSeq(c.kubectl(t, "get", "regpol", "-n", "registration-policy", "-o", "name")) {
		c.kubectl(t, "patch", "-n", "registration-policy", name, "--subresource=status", "--type=merge", "-p", fmt.Sprintf(
			`{"status": {"observedGeneration": %[1]s, "conditions": [{"type": "Ready", "status": "True", "reason": "InForce", "message": "Test.", `+
				`"observedGeneration": %[1]s, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}`, generation(name)))
	}
	if out, failed := shell(t, script, nil); failed || !strings.Contains(out, "partners condition met") {
		t.Errorf("it does not see that the policies are Ready:\n%s", out)
	}
}
