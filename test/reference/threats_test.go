package reference

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every file and every test that the threat model names must exist.
func TestTheThreatModelNamesFilesAndTestsThatAreThere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "platform", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := declaredTests(t)
	named := regexp.MustCompile("`([^`]+)`")
	path := regexp.MustCompile(`^\.?[a-z]+(/[a-z_]+)+(\.go)?$`)
	files, proofs := 0, 0
	for i, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		for _, name := range named.FindAllStringSubmatch(line, -1) {
			switch name := name[1]; {
			case strings.HasPrefix(name, "Test"), strings.HasPrefix(name, "Fuzz"):
				if proofs++; !tests[name] {
					t.Errorf("line %d: there is no test %s", i+1, name)
				}
			case path.MatchString(name):
				files++
				if _, err := os.Stat(filepath.Join("..", "..", name)); err != nil {
					t.Errorf("line %d: %v", i+1, err)
				}
			}
		}
	}
	if files < 20 || proofs < 50 {
		t.Errorf("only %d files and %d tests: is the page read as it should be?", files, proofs)
	}
}

// declaredTests returns the names of all tests and fuzz targets of the repository.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "grep", "-hE", "--untracked", "^func (Test|Fuzz)[A-Z]", "--", "*_test.go")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^func ((Test|Fuzz)\w+)`).FindAllStringSubmatch(string(out), -1) {
		tests[found[1]] = true
	}
	return tests
}
