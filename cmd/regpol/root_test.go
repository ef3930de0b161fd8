package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test's own binary be the program under the names by which kubectl calls it.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "regpol", "kubectl-regpol", completerName:
		main()
	}
	os.Exit(m.Run())
}

// runAs runs the program under a name.
func runAs(t *testing.T, program string, args ...string) ran {
	t.Helper()
	var out, err bytes.Buffer
	code := run(append([]string{program}, args...), streams{in: strings.NewReader(""), out: &out, err: &err})
	return ran{code, out.String(), err.String()}
}

func TestHelpNamesTheProgramAsItWasCalled(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/local/bin/regpol": "regpol", "/usr/local/bin/kubectl-regpol": "kubectl regpol", "kubectl-regpol.exe": "kubectl regpol",
	} {
		t.Run(program, func(t *testing.T) {
			for _, args := range [][]string{{"--help"}, {"explain", "--help"}} {
				got := runAs(t, program, args...)
				if got.code != exitAllowed || !strings.Contains(got.out, "\n  "+want+" explain jo@acme.com") ||
					!strings.Contains(got.out, "Usage:\n  "+want+" ") {
					t.Errorf("%v: exit code %d\n%s%s", args, got.code, got.out, got.err)
				}
			}
		})
	}
}

func TestVersionIsThatOfTheModule(t *testing.T) {
	if got := runAs(t, "regpol", "--version"); got.code != exitAllowed || got.out != "regpol "+version()+"\n" {
		t.Errorf("exit code %d, %q", got.code, got.out)
	}
}

func TestCompletionScriptsAreThere(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := runAs(t, "regpol", "completion", shell); got.code != exitAllowed || !strings.Contains(got.out, "__complete") {
			t.Errorf("%s: exit code %d\n%s", shell, got.code, got.err)
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
			if got := runAs(t, test.program, test.args...); got.code != exitAllowed || !strings.Contains(got.out, test.want) {
				t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
			}
		})
	}
}

func TestAnUnknownVerbIsWrongUsage(t *testing.T) {
	if got := runAs(t, "regpol", "explian"); got.code != exitUsage || !strings.Contains(got.err, "unknown command") {
		t.Errorf("exit code %d, %q", got.code, got.err)
	}
}
