package install

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// block is a fenced block of a page.
type block struct {
	page     string // relative to the repository
	line     int    // the number of its first line, the fence
	language string
	// mark is the text of the comment `<!-- test: … -->` before the block, which says how the tests treat it. The
	// rendered page does not show it.
	mark string
	text string
}

// command is a command on a page, and the output that the page quotes.
type command struct {
	block  *block
	script string
	quoted string // "" if the page quotes nothing
}

// continues matches the end of a line that the next line continues.
var continues = regexp.MustCompile(`(\\|\|)\n$`)

var marked = regexp.MustCompile(`^<!-- test: (.+) -->$`)

// pages returns all Markdown pages for users.
func pages(t testing.TB) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/*/*.md", "docs/*/*/*.md", "charts/*/README.md", "config/*/README.md"} {
		files, err := filepath.Glob(filepath.Join(repository, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			found = append(found, filepath.ToSlash(strings.TrimPrefix(file, filepath.FromSlash(repository)+string(filepath.Separator))))
		}
	}
	if !slices.Contains(found, "README.md") || !slices.Contains(found, "docs/platform/install.md") {
		t.Fatalf("found only %q", found)
	}
	return found
}

// blocks returns the fenced blocks of a page. It removes the indentation of a block in a list.
func blocks(t testing.TB, page string) []*block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	var all []*block
	var open *block
	indent, mark := "", ""
	for i, line := range strings.Split(string(text), "\n") {
		trimmed := strings.TrimSpace(line)
		language, fence := strings.CutPrefix(trimmed, "```")
		switch {
		case open == nil && fence:
			indent = line[:strings.Index(line, "```")]
			open = &block{page: page, line: i + 1, language: language, mark: mark}
			mark = ""
		case open != nil && fence:
			all = append(all, open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case marked.MatchString(trimmed):
			mark = marked.FindStringSubmatch(trimmed)[1]
		case trimmed != "":
			mark = ""
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block does not end", page, open.line)
	}
	return all
}

// commands returns the commands in a console block. A command begins with "$ ". The next lines belong to it after a
// backslash or a pipe, in a here-document, and up to the end of a function.
func (b *block) commands() []*command {
	if b.language != "console" {
		return nil
	}
	var all []*command
	ends := "" // the line that ends the current here-document
	for line := range strings.Lines(b.text) {
		script, begins := strings.CutPrefix(line, "$ ")
		last := len(all) - 1
		switch {
		case ends != "":
			all[last].script += line
			if strings.TrimSpace(line) == ends {
				ends = ""
			}
			continue
		case begins:
			all = append(all, &command{block: b, script: script})
		case last >= 0 && all[last].quoted == "" && continues.MatchString(all[last].script):
			all[last].script += line
		case last >= 0:
			all[last].quoted += line
			continue
		default:
			continue
		}
		if _, after, found := strings.Cut(line, "<<"); found {
			ends = strings.Trim(strings.Fields(after)[0], `'"-`)
		}
	}
	return all
}

// reason returns the mark up to the first semicolon.
func (b *block) reason() string {
	reason, _, _ := strings.Cut(b.mark, ";")
	return reason
}
