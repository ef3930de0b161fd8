package reference

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const workTree = "../.."

func TestEveryPageOfTheManualIsListedInTheIndexOfItsFolder(t *testing.T) {
	for _, folder := range []string{"docs", "docs/okta", "docs/platform", "docs/policies", "docs/contributing", "docs/contributing/design", "docs/reference"} {
		index := filepath.Join(workTree, folder, "README.md")
		var linked []string
		for _, target := range links(read(t, index)) {
			linked = append(linked, filepath.Join(filepath.Dir(index), target))
		}
		pages, err := filepath.Glob(filepath.Join(workTree, folder, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			if page != index && !slices.Contains(linked, page) {
				t.Errorf("%s does not list %s", index, filepath.Base(page))
			}
		}
	}
}

func TestEveryLinkBetweenPagesLeadsSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		for _, link := range links(read(t, page)) {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, link)
				continue
			}
			if anchor != "" && strings.HasSuffix(target, ".md") && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s links to %s, and no heading of that page makes this anchor", page, link)
			}
		}
	}
}

// pages returns the paths of the README and of all pages of the manual.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{filepath.Join(workTree, "README.md"), filepath.Join(workTree, "CONTRIBUTING.md")}
	err := filepath.WalkDir(filepath.Join(workTree, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	linkTarget = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	codeSpan   = regexp.MustCompile("`[^`\n]*`")
)

// links returns the targets of all links. It ignores code, in which other text may look like a link.
func links(text string) []string {
	var targets []string
	for line := range lines(text) {
		for _, found := range linkTarget.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, "``"), -1) {
			targets = append(targets, found[1])
		}
	}
	return targets
}

// anchors returns the anchors of a page's headings, as GitHub and other renderers form them.
func anchors(text string) []string {
	var all []string
	for line := range lines(text) {
		heading := strings.TrimLeft(line, "#")
		if heading == line || !strings.HasPrefix(heading, " ") {
			continue
		}
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, strings.TrimSpace(heading)))
	}
	return all
}

// lines yields the lines of a page that are not in a fenced block of code.
func lines(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		fenced := false
		for line := range strings.Lines(text) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
				continue
			}
			if !fenced && !yield(strings.TrimSuffix(line, "\n")) {
				return
			}
		}
	}
}
