package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"registrationpolicy.dev/operator/test/fixture"
)

// repository is the root of the work tree.
const repository = "../.."

// Runs the commands at the beginning of the README in a fresh checkout.
func TestTheFirstScreenOfTheREADMEIsTrue(t *testing.T) {
	t.Parallel()
	p := parsePage(t, "../README.md")
	checkout := freshCheckout(t)
	// make run builds the operator first. Build it before, because that may take longer than the test waits.
	build := exec.CommandContext(t.Context(), "go", "build", "-o", ".dev/operator", "./cmd/operator")
	build.Dir = checkout
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	hook := fixture.FreeAddress(t)
	start := p.block(t, "make-run").commands()[0]
	run := start.text
	printed := background(t, checkout, run+" HOOK="+hook+" PROBES="+fixture.FreeAddress(t)+" METRICS="+fixture.FreeAddress(t))
	says := func(what string) {
		fixture.Await(t, "the log has "+what, func() bool { return strings.Contains(printed.String(), what) })
	}
	says("Ctrl-C ends it.")
	if quoted := missing(start.output, lines(printed.String())); quoted != "" {
		t.Errorf("make run does not print %q, as the page says:\n%s", quoted, printed)
	}
	if before, _, _ := strings.Cut(printed.String(), "The operator listens."); !strings.HasPrefix(before, "Building the operator: ") ||
		!strings.Contains(before, "msg=Starting") {
		t.Errorf("before it listens, make run prints\n%s", before)
	}
	t.Run("beside another one", func(t *testing.T) {
		beside := background(t, checkout, run+" HOOK="+hook+" PROBES="+fixture.FreeAddress(t)+" METRICS="+fixture.FreeAddress(t))
		fixture.Await(t, "it says what to do", func() bool {
			return strings.Contains(beside.String(), "another process listens at "+hook+": stop it, or give another port") &&
				strings.Contains(beside.String(), "For other ports: make run POLICIES=config/samples/quickstart HOOK=")
		})
		if strings.Contains(beside.String(), "Try, in another terminal") {
			t.Errorf("what does not listen says what to try:\n%s", beside)
		}
	})

	ask := p.block(t, "ask")
	for i, line := range ask.lines {
		ask.lines[i] = strings.ReplaceAll(line, "127.0.0.1:8080", hook)
	}
	reader := newShell(t)
	reader.run(t, p, "ask")
	call := ask.commands()[0].text
	asked := func(address string) string {
		return reader.command(t, strings.ReplaceAll(call, "jo@elsewhere.example", address))
	}
	if answer := asked("jo@acme.com"); !strings.Contains(answer, `"registration":"ALLOW"`) {
		t.Errorf("jo@acme.com is answered %s", answer)
	}

	reader.dir = checkout // the commands that make run prints read a file in it
	var statuses []string
	for line := range strings.Lines(printed.String()) {
		if strings.HasPrefix(line, "curl ") {
			statuses = append(statuses, lastWord(reader.command(t, line)))
		}
	}
	if want := []string{"200", "200", "401"}; !slices.Equal(statuses, want) {
		t.Errorf("the lines that make run prints are answered %q, want %q", statuses, want)
	}

	file := filepath.Join(checkout, "config", "samples", "quickstart", "acme.yaml")
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(stored), "- acme.com\n", "- acme.com\n    - elsewhere.example\n", 1)
	write(t, file, edited)
	isAllowed := func() bool { return strings.Contains(asked("jo@elsewhere.example"), `"reason":"Allowed"`) }
	fixture.Await(t, "the answer has changed", isAllowed)
	write(t, file, strings.Replace(edited, "allow:", "alow:", 1))
	says(`error="config/samples/quickstart/acme.yaml:7: spec.alow: unknown field; did you mean allow?`)
	if !isAllowed() {
		t.Error("the earlier rules are no longer in force")
	}
}

func lastWord(text string) string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

// freshCheckout returns a directory with a copy of all files that git tracks or does not ignore.
func freshCheckout(t *testing.T) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = repository
	files, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	dir := t.TempDir()
	for file := range strings.SplitSeq(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		from := filepath.Join(repository, filepath.FromSlash(file))
		stat, err := os.Stat(from)
		if err != nil {
			continue // the file is deleted in the work tree
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, stat.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// background runs a command until the test ends, and returns what it prints.
func background(t *testing.T, dir, line string) *fixture.Transcript {
	t.Helper()
	printed := &fixture.Transcript{}
	process := exec.Command("bash", "-c", line)
	process.Dir = dir
	process.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "MAKE") })
	process.Stdout, process.Stderr = printed, printed
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // to kill the whole group: make does not forward signals
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
		_ = process.Wait()
		if t.Failed() {
			t.Logf("$ %s\n%s", line, printed)
		}
	})
	return printed
}
