package manual

import (
	"os"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/test/fixture"
)

// Follows the tutorial in a fresh checkout, command by command.
func TestTheTutorialWorks(t *testing.T) {
	t.Parallel()
	p := readPage(t, "policies/tutorial.md")
	reader := newShell(t, "HOME="+os.Getenv("HOME")) // Go keeps its caches there
	reader.dir = freshCheckout(t)
	for _, name := range []string{
		"tutorial-build", "tutorial-first", "tutorial-why", "tutorial-fix", "tutorial-lint", "tutorial-lint-again", "tutorial-test", "tutorial-diff",
	} {
		reader.run(t, p, name)
	}

	hook := fixture.FreeAddress(t)
	run := strings.TrimPrefix(strings.Join(p.block(t, "tutorial-run").lines, "\n"), "$ ")
	run += " CGO_ENABLED=0 GOFLAGS=-trimpath" // as make build, so that only the linker runs again
	printed := background(t, reader.dir, run+" HOOK="+hook+" PROBES="+fixture.FreeAddress(t)+" METRICS="+fixture.FreeAddress(t))
	says := func(what string) {
		fixture.Await(t, "the log has "+what, func() bool { return strings.Contains(printed.String(), what) })
	}
	says("Then edit a file in policies and call again.")
	for _, name := range []string{"tutorial-call", "tutorial-call-again"} {
		call := p.block(t, name)
		for i, line := range call.lines {
			call.lines[i] = strings.ReplaceAll(line, "127.0.0.1:8080", hook)
		}
	}
	reader.run(t, p, "tutorial-call")
	reader.run(t, p, "tutorial-change")
	says(" policies=2 ")
	reader.run(t, p, "tutorial-call-again")
	p.complete(t)
}
