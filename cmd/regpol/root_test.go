package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/internal/version"
)

// TestMain lets the test's own binary be the program under the names by which kubectl calls it.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "regpol", "kubectl-regpol", completerName:
		main()
	}
	os.Exit(m.Run())
}

// runRegpol runs the program in the work tree.
func runRegpol(t *testing.T, stdin string, args ...string) verbtest.Result {
	t.Helper()
	t.Chdir(verbtest.WorkTree)
	return runIn(t, stdin, args...)
}

// runIn runs the program in the working directory.
func runIn(t *testing.T, stdin string, args ...string) verbtest.Result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(append([]string{"regpol"}, args...), console.Streams{In: strings.NewReader(stdin), Out: &out, Err: &err})
	return verbtest.Result{Code: code, Out: out.String(), Err: err.String()}
}

// runAs runs the program under a name.
func runAs(t *testing.T, program string, args ...string) verbtest.Result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(append([]string{program}, args...), console.Streams{In: strings.NewReader(""), Out: &out, Err: &err})
	return verbtest.Result{Code: code, Out: out.String(), Err: err.String()}
}

func TestHelpNamesTheProgramAsItWasCalled(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/local/bin/regpol": "regpol", "/usr/local/bin/kubectl-regpol": "kubectl regpol", "kubectl-regpol.exe": "kubectl regpol",
	} {
		t.Run(program, func(t *testing.T) {
			for _, args := range [][]string{{"--help"}, {"explain", "--help"}} {
				got := runAs(t, program, args...)
				if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "\n  "+want+" explain jo@acme.com") ||
					!strings.Contains(got.Out, "Usage:\n  "+want+" ") {
					t.Errorf("%v: exit code %d\n%s%s", args, got.Code, got.Out, got.Err)
				}
			}
		})
	}
}

func TestVersionTellsTheCommitToo(t *testing.T) {
	if got := runAs(t, "regpol", "--version"); got.Code != console.ExitAllowed || got.Out != "regpol "+version.Long()+"\n" {
		t.Errorf("exit code %d, %q", got.Code, got.Out)
	}
}

func TestCompletionScriptsAreThere(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := runAs(t, "regpol", "completion", shell); got.Code != console.ExitAllowed || !strings.Contains(got.Out, "__complete") {
			t.Errorf("%s: exit code %d\n%s", shell, got.Code, got.Err)
		}
	}
}

func TestCompletion(t *testing.T) {
	for sentence, test := range map[string]struct {
		program string
		args    []string
		want    string
	}{
		"of a verb":                    {"regpol", []string{"__complete", "exp"}, "explain\t"},
		"of the words of a flag":       {"regpol", []string{"__complete", "explain", "--shape", "pro"}, "progressive\n"},
		"of an address: no file names": {"regpol", []string{"__complete", "explain", ""}, ":4\n"},
		"of policies: files":           {"regpol", []string{"__complete", "explain", "--policies", ""}, ":0\n"},
		"as kubectl asks for it":       {completerName, []string{"explain", "-o", "y"}, "yaml\n"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := runAs(t, test.program, test.args...); got.Code != console.ExitAllowed || !strings.Contains(got.Out, test.want) {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
}

// Wrong usage is said in sentences that say what to write, not in the libraries' words.
func TestWrongUsageSaysWhatToWrite(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	notAKubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(notAKubeconfig, []byte("- 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"foo"}, `"foo" is not a command of regpol: write call, diff, explain, lint, lists, replay, test; see regpol --help`},
		{[]string{"lists", "synk"}, `"synk" is not a command of regpol lists: write sync; see regpol lists --help`},
		{[]string{"lists", "sync"}, `give the NAME of a list, and then a FILE, a URL, or - for standard input; see regpol lists sync --help`},
		{[]string{"lists", "sync", "a", "b", "c"}, `give the NAME of a list, and then a FILE, a URL, or - for standard input; see regpol lists sync --help`},
		{[]string{"lists", "rollback"}, `give the NAME of a list, and at most one DIGEST; see regpol lists rollback --help`},
		{[]string{"lists", "rollback", "a", "b", "c"}, `give the NAME of a list, and at most one DIGEST; see regpol lists rollback --help`},
		{[]string{"explain", "a", "-q"}, `there is no flag -q; see regpol explain --help`},
		{[]string{"explain", "a", "--policies"}, `--policies has no value: write --policies=VALUE; see regpol explain --help`},
		{[]string{"explain", "a", "--observe=x"}, `--observe: "x" is not true or false: write --observe=true; see regpol explain --help`},
		{[]string{"explain", "a", "--policies", ".", "--context", "x"}, `give only one of --policies and --context`},
		{[]string{"explain", "a", "-n", "x", "--watch-namespaces", "y"}, `give only one of --namespace and --watch-namespaces`},
		{[]string{"explain", "a", "--kubeconfig", notAKubeconfig}, `kubeconfig: the file is not a kubeconfig: give a file that kubectl works with`},
		{[]string{"call", "https://x", "--timeout", "5"}, `--timeout: "5" is not a duration: write --timeout=30s; see regpol call --help`},
		{[]string{"call", "https://x", "-f", "a", "--shape", "classic"}, `give only one of --filename and --shape`},
		{[]string{"lists", "sync", "a", "b", "--max-entries", "x"},
			`--max-entries: "x" is not a whole number: write --max-entries=10; see regpol lists sync --help`},
	} {
		if got := runAs(t, "regpol", test.args...); got.Code != console.ExitUsage || got.Err != "regpol: "+test.want+"\n" {
			t.Errorf("%q: exit code %d, %s\nwant %s", test.args, got.Code, got.Err, test.want)
		}
	}
}

func TestAnUnknownVerbIsWrongUsage(t *testing.T) {
	if got := runAs(t, "regpol", "explian"); got.Code != console.ExitUsage || got.Err != "regpol: \"explian\" is not a command of regpol: write explain; see regpol --help\n" {
		t.Errorf("exit code %d, %q", got.Code, got.Err)
	}
}
