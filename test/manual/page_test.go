package manual

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/test/fixture"
)

// page is one page of the manual.
type page struct {
	file   string
	blocks []*block
}

// block is a fenced block of a page.
type block struct {
	name     string // "" if the comment above it says that no test can produce it
	language string
	indent   string // the indentation of a block in a list
	lines    []string
	line     int
	proven   bool
	marked   bool
}

const docs = "../../docs"

var (
	mark       = regexp.MustCompile(`^ *<!-- test: (.+) -->$`)
	provenHere = regexp.MustCompile(`test/manual as ([a-z0-9-]+)$`)
)

// readPage reads a page. It fails the test if a fenced block has no comment that says how it is tested or that it cannot
// be.
func readPage(t *testing.T, file string) *page {
	t.Helper()
	p := parsePage(t, file)
	for _, block := range p.blocks {
		if !block.marked {
			t.Errorf("docs/%s:%d: a block without the comment that says how it is tested", file, block.line)
		}
	}
	return p
}

// parsePage reads a page of which this package tests only some blocks.
func parsePage(t *testing.T, file string) *page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, file))
	if err != nil {
		t.Fatal(err)
	}
	p := &page{file: file}
	var open *block
	var above string
	for i, line := range strings.Split(string(text), "\n") {
		indent, fence, isFence := strings.Cut(line, "```")
		isFence = isFence && strings.TrimSpace(indent) == ""
		switch {
		case open != nil && isFence:
			open = nil
		case open != nil:
			open.lines = append(open.lines, strings.TrimPrefix(line, open.indent))
		case isFence:
			open = &block{language: fence, indent: indent, line: i + 1}
			p.blocks = append(p.blocks, open)
			if found := mark.FindStringSubmatch(above); found != nil {
				open.marked = true
				if name := provenHere.FindStringSubmatch(found[1]); name != nil {
					open.name = name[1]
				}
			}
		}
		above = line
	}
	return p
}

// block returns the block with a name, and marks it as tested.
func (p *page) block(t *testing.T, name string) *block {
	t.Helper()
	for _, block := range p.blocks {
		if block.name == name {
			block.proven = true
			return block
		}
	}
	t.Fatalf("docs/%s has no block %q", p.file, name)
	return nil
}

// text returns the text of a block, for a file that the page says to write.
func (p *page) text(t *testing.T, name string) string {
	t.Helper()
	return strings.Join(p.block(t, name).lines, "\n") + "\n"
}

// complete fails the test if a block with a name was not tested.
func (p *page) complete(t *testing.T) {
	t.Helper()
	if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // with -run, only a part of the tests has run
	}
	for _, block := range p.blocks {
		if block.name != "" && !block.proven {
			t.Errorf("docs/%s:%d: no test produces %q", p.file, block.line, block.name)
		}
	}
}

// says fails the test unless a block equals a whole text.
func (p *page) says(t *testing.T, name, produced string) {
	t.Helper()
	block := p.block(t, name)
	if !matches(block.lines, lines(produced)) {
		t.Errorf("docs/%s:%d: the page says\n%s\nand it is\n%s", p.file, block.line, strings.Join(block.lines, "\n"), produced)
	}
}

// quotes fails the test unless each line of a block is a line of a text, in the same order.
func (p *page) quotes(t *testing.T, name, produced string) {
	t.Helper()
	block := p.block(t, name)
	if quoted := missing(block.lines, lines(produced)); quoted != "" {
		t.Errorf("docs/%s:%d: the page quotes\n%s\nwhich is not, or not there, in\n%s", p.file, block.line, quoted, produced)
	}
}

// missing returns the first quoted line that is not among the produced lines in the same order, or "" if there is none.
func missing(quoted, produced []string) string {
	for _, line := range quoted {
		at := slices.IndexFunc(produced, func(candidate string) bool { return matchesLine(line, candidate) })
		if at < 0 {
			return line
		}
		produced = produced[at+1:]
	}
	return ""
}

// logs waits until each line of a block is a line of the operator's log.
func (p *page) logs(t *testing.T, name string, op *operator) {
	t.Helper()
	block := p.block(t, name)
	fixture.Await(t, "the log has "+name, func() bool { return missing(block.lines, lines(op.log.String())) == "" })
}

func lines(text string) []string {
	text = strings.TrimRight(text, " \n")
	if text == "" {
		return nil
	}
	got := strings.Split(text, "\n")
	for i := range got {
		got[i] = strings.TrimRight(got[i], " ")
	}
	return got
}

const whatever = "…"

// matches reports whether the quoted lines match all of the produced lines.
func matches(quoted, produced []string) bool {
	if len(quoted) == 0 {
		return len(produced) == 0
	}
	if strings.TrimSpace(quoted[0]) == whatever {
		for skipped := range len(produced) + 1 {
			if matches(quoted[1:], produced[skipped:]) {
				return true
			}
		}
		return false
	}
	return len(produced) > 0 && matchesLine(quoted[0], produced[0]) && matches(quoted[1:], produced[1:])
}

func matchesLine(quoted, produced string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(quoted, " ")), whatever, ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(produced)
}

// names reports whether the prose of the page has a text, which may go over the end of a line.
func (p *page) names(t *testing.T, text string) bool {
	t.Helper()
	return strings.Contains(strings.Join(strings.Fields(p.whole(t)), " "), text)
}

// whole returns the page's text.
func (p *page) whole(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, p.file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
