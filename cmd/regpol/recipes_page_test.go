package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

// Follows each recipe: saves its policies under the name in its commands, and compares what the commands print. Lint
// must find nothing in them.
func TestTheRecipesDoWhatTheyShow(t *testing.T) {
	page := verbtest.ReadText(t, filepath.Join(verbtest.WorkTree, "docs", "policies", "recipes.md"))
	recipes := strings.Split(page, "\n## ")[1:]
	if len(recipes) < 9 {
		t.Errorf("%d recipes", len(recipes))
	}
	for _, recipe := range recipes {
		title, text, _ := strings.Cut(recipe, "\n")
		t.Run(title, func(t *testing.T) {
			policies, block := fenced(text, "yaml"), fenced(text, "console")
			steps := strings.Split("\n"+block, "\n$ ")[1:]
			if policies == "" || len(steps) == 0 {
				t.Fatal("a recipe has policies, and a command that shows what they do")
			}
			t.Chdir(t.TempDir())
			for _, step := range steps {
				command, want, _ := strings.Cut(step, "\n")
				args := strings.Fields(command)
				file := args[len(args)-1] // after --policies
				verbtest.WriteTo(t, file, policies)
				got := runAs(t, args[0], args[1:]...)
				if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got.Out)); diff != "" {
					t.Errorf("%s (-page +printed):\n%s%s", command, diff, got.Err)
				}
				if lint := runAs(t, "regpol", "lint", file); lint.Code != 0 || !strings.HasPrefix(lint.Out, "0 errors, 0 warnings ") {
					t.Errorf("lint prints\n%s%s", lint.Out, lint.Err)
				}
			}
		})
	}
}

// fenced returns the content of the first fenced block of a language, or "".
func fenced(text, language string) string {
	_, block, _ := strings.Cut(text, "```"+language+"\n")
	block, _, _ = strings.Cut(block, "```")
	return block
}
