package testrun

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/test/fixture"
)

// watching is a run of regpol test with --watch.
type watching struct {
	out, err fixture.Transcript
	stop     context.CancelFunc
	code     chan int
}

// watch starts regpol test with --watch in a directory.
func watch(t *testing.T, dir string, args ...string) *watching {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &watching{stop: stop, code: make(chan int, 1)}
	s := console.Streams{In: strings.NewReader(""), Out: &w.out, Err: &w.err}
	root := console.NewRoot(s, Command(s))
	go func() { w.code <- console.Run(ctx, root, append([]string{"test", "--watch", dir}, args...)) }()
	t.Cleanup(stop)
	return w
}

// await waits until the output has a text n times, and the run that a heading announces has come to its end.
func (w *watching) await(t *testing.T, text string, n int) {
	t.Helper()
	fixture.Await(t, text, func() bool {
		out, err := w.out.String(), w.err.String()
		ended := strings.Count(err, "regpol: waiting for a change; Ctrl-C ends\n") == strings.Count(out, "=== ")+1
		return ended && strings.Count(out+err, text) == n
	})
}

// replace writes a file as most editors do, under another name first: a file that is written in its place is empty for a
// moment, which can be one more change.
func replace(t *testing.T, path, text string) {
	t.Helper()
	draft := filepath.Join(filepath.Dir(path), ".draft")
	verbtest.WriteTo(t, draft, text)
	if err := os.Rename(draft, path); err != nil {
		t.Fatal(err)
	}
}

// end ends the run and returns its exit code.
func (w *watching) end() int {
	w.stop()
	return <-w.code
}

const (
	watchedPolicy = verbtest.Header + "p}\nspec: {allow: {domains: [acme.com]}}\n"
	watchedCase   = "cases:\n- name: acme comes in\n  email: jo@acme.com\n  expect: {outcome: Allow}\n"
)

func TestWatchRunsAgainAfterEachChange(t *testing.T) {
	dir := verbtest.WriteFiles(t, map[string]string{"p.yaml": watchedPolicy, "p.regpol-test.yaml": watchedCase})
	policy, tests := filepath.Join(dir, "p.yaml"), filepath.Join(dir, "p.regpol-test.yaml")
	w := watch(t, dir)
	w.await(t, "ok    "+tests, 1)

	replace(t, policy, strings.Replace(watchedPolicy, "acme.com", "acme.org", 1))
	w.await(t, policy+" has changed\n\nfail  acme comes in", 1)

	replace(t, policy, "{")
	w.await(t, "regpol: "+policy+":1", 1)

	replace(t, policy, watchedPolicy)
	w.await(t, policy+" has changed\n\nok ", 1)

	replace(t, tests, strings.Replace(watchedCase, "Allow", "Deny", 1))
	w.await(t, tests+" has changed\n\nfail ", 1)
	if code := w.end(); code != console.ExitDenied {
		t.Errorf("exit code %d after a failure\n%s%s", code, w.out.String(), w.err.String())
	}
	if runs := strings.Count(w.out.String(), "=== "); runs != 4 {
		t.Errorf("%d runs after the first:\n%s", runs, w.out.String())
	}
}

func TestWatchFollowsWhatTheTestsName(t *testing.T) {
	dir := verbtest.WriteFiles(t, map[string]string{
		"policies/p.yaml": watchedPolicy, "tests/team/call.txt": "{}",
		"tests/team/t.regpol-test.yaml": "policies: [../../policies]\n" + watchedCase + "- name: a call\n  request: call.txt\n  expect: {outcome: Deny}\n",
	})
	w := watch(t, filepath.Join(dir, "tests"), "-R")
	w.await(t, "2 cases", 1)

	replace(t, filepath.Join(dir, "policies", "q.yaml"), strings.Replace(watchedPolicy, "p}", "q}", 1))
	w.await(t, "q.yaml has changed", 1)

	replace(t, filepath.Join(dir, "tests", "team", "call.txt"), "no call")
	w.await(t, "call.txt has changed", 1)
	w.await(t, "call.txt is not a call from Okta", 1)

	if err := os.Remove(filepath.Join(dir, "policies", "q.yaml")); err != nil {
		t.Fatal(err)
	}
	w.await(t, "q.yaml has changed", 2)
	if code := w.end(); code != console.ExitUsage {
		t.Errorf("exit code %d after a call that cannot be read", code)
	}
}

// A new directory has no file yet. It is watched at once, and not only when another directory changes.
func TestWatchSeesANewDirectory(t *testing.T) {
	dir := verbtest.WriteFiles(t, map[string]string{"p.yaml": watchedPolicy, "p.regpol-test.yaml": watchedCase})
	w := watch(t, dir, "-R")
	w.await(t, "1 case", 1)
	replace(t, filepath.Join(dir, "team", "p.yaml"), watchedPolicy)
	w.await(t, filepath.Join("team", "p.yaml")+" has changed", 1)
	replace(t, filepath.Join(dir, "team", "t.regpol-test.yaml"), watchedCase)
	w.await(t, "ok    "+filepath.Join(dir, "team"), 1)
	if code := w.end(); code != console.ExitAllowed {
		t.Errorf("exit code %d", code)
	}
}

func TestWatchRefusesWhatItCannotWatch(t *testing.T) {
	for args, want := range map[string]string{
		"--at HEAD":        "--watch watches files on the disk, and --at reads a revision",
		"-o json":          "--watch prints the text of one run after the other: leave it out, or -o json",
		"--fail-under 101": "--fail-under: 101 is not a percentage",
	} {
		got := runRegpol(t, "", append([]string{"test", testedDirectory, "--watch"}, strings.Fields(args)...)...)
		if got.Code != console.ExitUsage || !strings.Contains(got.Err, want) {
			t.Errorf("%s: exit code %d\n%s", args, got.Code, got.Err)
		}
	}
}
