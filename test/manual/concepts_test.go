package manual

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// pages are the pages that this package tests.
var pages = []string{"concepts.md", "okta.md", "rollout.md", "troubleshooting.md"}

func TestThePictureStandsOnItsOwn(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(docs, "concepts.svg"))
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if element.Name.Local == "script" || element.Name.Local == "image" {
			t.Errorf("<%s>: where a page shows the picture as an image, nothing runs and nothing is fetched", element.Name.Local)
		}
		for _, attribute := range element.Attr {
			if attribute.Name.Local == "fill" || attribute.Name.Local == "stroke" {
				t.Errorf("<%s %s>: give it a class, so that it has a colour in light and in dark", element.Name.Local, attribute.Name.Local)
			}
		}
	}
	for _, part := range []string{"prefers-color-scheme: dark", "<title", "<desc"} { //nolint:misspell // CSS spells it so
		if !strings.Contains(string(text), part) {
			t.Errorf("the picture has no %s", part)
		}
	}
	for _, fetched := range []string{"@import", "url(http", "@font-face"} {
		if strings.Contains(string(text), fetched) {
			t.Errorf("the picture fetches something: %s", fetched)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	for _, name := range pages {
		p := &page{file: name}
		for _, found := range link.FindAllStringSubmatch(p.whole(t), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.HasPrefix(target, "https://") {
				continue
			}
			if target == "" {
				target = name
			}
			text, err := os.ReadFile(filepath.Join(docs, target))
			if err != nil {
				t.Errorf("docs/%s: %s: %v", name, found[1], err)
				continue
			}
			if anchor != "" && !hasHeading(string(text), anchor) {
				t.Errorf("docs/%s: %s: no such heading", name, found[1])
			}
		}
	}
}

// hasHeading reports whether a page has a heading with this anchor: its words in small letters, joined by hyphens.
func hasHeading(text, anchor string) bool {
	for line := range strings.Lines(text) {
		heading := strings.TrimLeft(line, "#")
		if heading == line {
			continue
		}
		made := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, strings.TrimSpace(heading))
		if made == anchor {
			return true
		}
	}
	return false
}
