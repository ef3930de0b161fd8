// Command prose checks the pages of the manual with vale: the words of CONTRIBUTING.md and the rules in rules/. It runs
// in its own directory, as `make prose` starts it. Arguments are pages or folders, relative to the work tree; without
// any, it checks all pages that git tracks or does not ignore. It exits with 1 if a page breaks a rule.
package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	root     = "../.." // the work tree
	glossary = "CONTRIBUTING.md"
)

// ours is the name of our style in vale's reports: `House.Words`.
const ours = "House"

//go:embed rules/*.yml
var rules embed.FS

// patience is the time of a build after which a message says why it takes long.
const patience = 3 * time.Second

// configuration is vale's. Repetition finds a word that is written twice.
const configuration = `StylesPath = styles
MinAlertLevel = error
[*.md]
BasedOnStyles = ` + ours + `
Vale.Repetition = YES
`

var errFound = errors.New("pages break the rules of CONTRIBUTING.md, Words")

func main() {
	report, err := check(os.Args[1:])
	if report != "" {
		fmt.Println(strings.TrimSuffix(report, "\n"))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "prose: %v\n", err)
		os.Exit(1)
	}
}

// check returns vale's report on pages, a line for each finding, and errFound if there is any.
func check(pages []string) (report string, err error) {
	cgo, err := exec.Command("go", "env", "CGO_ENABLED").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	if strings.TrimSpace(string(cgo)) != "1" {
		return "prose: skipped: vale needs a C compiler", nil
	}
	vale, err := built()
	if err != nil {
		return "", err
	}
	if len(pages) == 0 {
		if pages, err = allPages(); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp("", "prose")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := configure(dir); err != nil {
		return "", err
	}
	run := exec.Command(vale, append([]string{"--no-global", "--output=line", "--config", filepath.Join(dir, "vale.ini")}, pages...)...)
	run.Dir = root
	out, err := run.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return string(out), errFound
	}
	if err != nil {
		return string(out), fmt.Errorf("vale: %w", err)
	}
	return string(out), nil
}

var built = sync.OnceValues(build)

// build returns the path of vale, the tool of this module, which Go builds once and then keeps in its cache.
func build() (path string, err error) {
	command := exec.Command("go", "tool", "-n", "vale")
	notice := time.AfterFunc(patience, func() { fmt.Fprintln(os.Stderr, "prose: building vale: about a minute on two cores, once") })
	defer notice.Stop()
	var messages strings.Builder
	command.Stderr = &messages // with the C compiler's warnings about generated parsers
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go tool vale: %w\n%s", err, messages.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// allPages returns the Markdown files of the work tree, without data of tests.
func allPages() ([]string, error) {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var pages []string
	for page := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Stat(filepath.Join(root, page)); err == nil && !strings.Contains(page, "testdata/") {
			pages = append(pages, page)
		}
	}
	return pages, nil
}

// configure writes vale's configuration and styles into dir.
func configure(dir string) error {
	style := filepath.Join(dir, "styles", ours)
	if err := os.MkdirAll(style, 0o700); err != nil {
		return err
	}
	files, err := rules.ReadDir("rules")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := rules.ReadFile("rules/" + file.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(style, file.Name()), text, 0o600); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(root, glossary))
	if err != nil {
		return err
	}
	words, err := wordsRule(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", glossary, err)
	}
	if err := os.WriteFile(filepath.Join(style, "Words.yml"), []byte(words), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "vale.ini"), []byte(configuration), 0o600)
}

var (
	tableHead = regexp.MustCompile(`^\| (?:on a page, )?write \| not \|$`)
	tableRow  = regexp.MustCompile(`^\|([^|]+)\|([^|]+)\|$`)
)

// wordsRule returns the rule of vale that the tables of words in CONTRIBUTING.md make: one for code and pages, one for
// pages only. test/fences reads the first one, too.
func wordsRule(page string) (string, error) {
	var rule strings.Builder
	rule.WriteString("extends: substitution\nmessage: \"write %s, not '%s'\"\nlevel: error\nignorecase: true\nswap:\n")
	tables, inside := 0, false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		row := tableRow.FindStringSubmatch(line)
		switch {
		case tableHead.MatchString(line):
			tables++
			inside = true
		case row == nil:
			inside = false
		case inside && row[1] != "---":
			instead := strings.ReplaceAll(strings.TrimSpace(row[1]), "'", "''")
			for word := range strings.SplitSeq(row[2], ",") {
				phrase := strings.Join(strings.Fields(word), `\s+`) // the words may stand on two lines
				fmt.Fprintf(&rule, "  '%ss?': '%s'\n", phrase, instead)
			}
		}
	}
	if tables != 2 {
		return "", fmt.Errorf("%d tables with the head `| write | not |` or `| on a page, write | not |`, want 2", tables)
	}
	return rule.String(), nil
}
