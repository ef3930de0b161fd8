package install

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// excuses are the reasons for which no test runs a command, by the mark of its block.
var excuses = map[string]string{
	"needs a container engine":   "there need not be one where the tests run",
	"make release-test does it":  "test/release builds it, pushes it to a registry and runs it",
	"needs a live Okta org":      "there is none for us; test/manual runs the calls against a stand-in",
	"needs a cluster with nodes": "the stand-in for a node forwards no port",

	"takes minutes, and builds another kube-apiserver": "the figures that the page gives were made by it",

	"takes twenty minutes and more": "make chaos runs for two minutes beside these tests; the page says what a long run came to",
}

// elsewhere are commands, by their first words, whose effect another test checks.
var elsewhere = []struct{ page, begins, test, reason string }{
	{"README.md", "make test", "Makefile", "it runs this test"},
	{"README.md", "helm install", "test/install", "the same command runs on docs/platform/install.md"},
}

var provenIn = regexp.MustCompile(`test/manual as ([a-z0-9-]+)$`)

// Each command of each page is either run by a test or has a mark that says why not.
func TestEveryCommandOfEveryPageIsRunOrExcused(t *testing.T) {
	manual := texts(t, "test/manual/*.go") + texts(t, "test/manual/testdata/*")
	used := map[string]bool{}
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if name := provenIn.FindStringSubmatch(b.mark); name != nil && !strings.Contains(manual, `"`+name[1]+`"`) {
				t.Errorf("%s:%d: no test in test/manual speaks of %q", page, b.line, name[1])
			}
			if b.language == "sh" || b.language == "bash" || b.language == "shell" {
				t.Errorf("%s:%d: nobody runs a block of the language %s: write console, and $ before each command", page, b.line, b.language)
			}
			if !b.known() {
				t.Errorf("%s:%d: no test knows what to do at the mark %q", page, b.line, b.mark)
			}
			for _, c := range b.commands() {
				if why := c.excuse(used); why != "" {
					t.Errorf("%s:%d: $ %s%s", page, b.line, c.script, why)
				}
			}
		}
	}
	for reason := range excuses {
		if !used[reason] {
			t.Errorf("no command is excused as %q: remove that reason", reason)
		}
	}
	for _, e := range elsewhere {
		if !used[e.page+e.begins] {
			t.Errorf("%s has no command that begins with %q: remove that entry", e.page, e.begins)
		}
		if _, err := os.Stat(filepath.Join(repository, e.test)); err != nil {
			t.Error(err)
		}
	}
}

// known reports whether a mark is valid. A misspelt one could excuse a command by mistake.
func (b *block) known() bool {
	switch reason := b.reason(); {
	case b.mark == "", excuses[reason] != "", provenIn.MatchString(b.mark), reason == markReleased,
		strings.HasPrefix(b.mark, "shown by "): // another page, whose test runs the same commands
		return true
	default:
		return b.page == installPage && (reason == markProxy || reason == markOwn || reason == markOwnEnd || strings.HasPrefix(reason, markFile))
	}
}

// excuse returns "" if a test runs the command or its mark excuses it, and otherwise what is missing. It adds the
// excuse to used.
func (c *command) excuse(used map[string]bool) string {
	for _, e := range elsewhere {
		if e.page == c.block.page && strings.HasPrefix(c.script, e.begins) {
			used[e.page+e.begins] = true
			return ""
		}
	}
	reason := c.block.reason()
	switch {
	case excuses[reason] != "":
		used[reason] = true
		return ""
	case c.block.page == installPage, c.block.page == chartPage, reason == markReleased: // firsthour_test.go, rights_test.go
		return ""
	case provenIn.MatchString(c.block.mark):
		return ""
	case ownTest(c.block.page) != "":
		return ""
	default:
		return "no test runs it: put <!-- test: … --> with the reason in front of the block, or run it"
	}
}

// ownTest returns the test that compares a page of the reference with the program, or "" if there is none.
func ownTest(page string) string {
	tests := map[string]string{
		"docs/reference/regpol-explain.md":    "cmd/regpol/internal/explain/page_test.go",
		"docs/reference/regpol-call.md":       "cmd/regpol/internal/call/page_test.go",
		"docs/reference/regpol-diff.md":       "cmd/regpol/internal/diff/diff_test.go",
		"docs/reference/regpol-lint.md":       "cmd/regpol/internal/lint/lint_test.go",
		"docs/reference/regpol-replay.md":     "cmd/regpol/internal/replay/replay_test.go",
		"docs/reference/regpol-test.md":       "cmd/regpol/internal/testrun/testrun_test.go",
		"docs/policies/recipes.md":            "cmd/regpol/recipes_page_test.go",
		"docs/policies/lists.md":              "cmd/regpol/lists_page_test.go",
		"docs/policies/git.md":                "cmd/regpol/lists_page_test.go",
		"docs/policies/lists-sync.md":         "cmd/regpol/cluster_lists_pages_test.go",
		"docs/reference/regpol-lists-sync.md": "cmd/regpol/cluster_lists_pages_test.go",
	}
	if _, err := os.Stat(filepath.Join(repository, tests[page])); err != nil {
		return ""
	}
	return tests[page]
}

// texts returns the contents of all files that match a pattern.
func texts(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, pattern))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the pattern also matches directories
		}
		all.Write(text)
	}
	return all.String()
}
