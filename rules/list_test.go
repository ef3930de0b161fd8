package rules_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
)

func listOf(lines ...string) *rules.List {
	return rules.CompileList([]byte(strings.Join(lines, "\n") + "\n"))
}

func TestLinesOfLists(t *testing.T) {
	good := slices.Repeat([]string{"filler.example"}, 1) // one malformed line of two would make it no list
	for i := range 120 {
		good = append(good, fmt.Sprintf("filler%d.example", i))
	}
	for sentence, test := range map[string]struct {
		line     string
		entries  []string
		skipped  bool
		unusable bool
	}{
		"a domain":                {line: "acme.com", entries: []string{"acme.com"}},
		"upper case is folded":    {line: "AcMe.Com", entries: []string{"acme.com"}},
		"a wildcard":              {line: "*.acme.com", entries: []string{"*.acme.com"}},
		"a whole address, folded": {line: "Jo@Acme.com", entries: []string{"jo@acme.com"}},
		"an address with its sub-addresses, folded":         {line: "Jo+*@Acme.com", entries: []string{"jo+*@acme.com"}},
		"an address that begins like a wildcard":            {line: "*.jo@acme.com", skipped: true},
		"a domain's addresses as a glob":                    {line: "*@acme.com", skipped: true},
		"one letter as a glob":                              {line: "?@acme.com", skipped: true},
		"sub-addresses of a sub-address":                    {line: "jo+x+*@acme.com", skipped: true},
		"a domain's addresses as SQL has it":                {line: "%@acme.com", skipped: true},
		"a letter that has no reading":                      {line: "ac\u3164me.com", skipped: true},
		"an address too long for any":                       {line: strings.Repeat("a", 64) + "@" + labels63(3, 57), skipped: true},
		"a U-label is kept as the A-label":                  {line: "müller.de", entries: []string{"xn--mller-kva.de"}},
		"blanks around":                                     {line: " \tacme.com\t ", entries: []string{"acme.com"}},
		"CRLF":                                              {line: "acme.com\r", entries: []string{"acme.com"}},
		"a byte order mark":                                 {line: "\ufeffacme.com", entries: []string{"acme.com"}},
		"a comment":                                         {line: "# acme.com"},
		"a comment after a byte order mark":                 {line: "\ufeff# acme.com"},
		"a comment after an entry":                          {line: "acme.com # since May", entries: []string{"acme.com"}},
		"a # in a local part is none":                       {line: "j#o@acme.com", entries: []string{"j#o@acme.com"}},
		"a # within a domain is no entry":                   {line: "acme#.com", skipped: true},
		"an empty line":                                     {line: ""},
		"a star would be everybody":                         {line: "*", skipped: true},
		"a wildcard in the middle":                          {line: "a.*.com", skipped: true},
		"two on a line":                                     {line: "a.example b.example", skipped: true},
		"a line of a hosts file":                            {line: "0.0.0.0 ads.example", skipped: true},
		"an address of a network":                           {line: "192.0.2.1", skipped: true},
		"a URL":                                             {line: "https://acme.com/", skipped: true},
		"a leading dot":                                     {line: ".acme.com", skipped: true},
		"a leading @":                                       {line: "@acme.com", skipped: true},
		"not UTF-8":                                         {line: "acm\xe9.com", skipped: true},
		"an A-label that decodes to nothing":                {line: "xn--.com", skipped: true},
		"a public suffix can only deny":                     {line: "co.uk", entries: []string{"co.uk"}, unusable: true},
		"a top-level domain can only deny":                  {line: "zip", entries: []string{"zip"}, unusable: true},
		"a wildcard over a public suffix can only deny":     {line: "*.uk", entries: []string{"*.uk"}, unusable: true},
		"a name to be mapped can only deny what it maps to": {line: "MÜLLER.de", entries: []string{"xn--mller-kva.de"}, unusable: true},
		"a name with two readings":                          {line: "faß.example", entries: []string{"xn--fa-hia.example"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			list := listOf(append(slices.Clone(good), test.line)...)
			if fault := list.Fault(); fault != "" {
				t.Fatalf("fault: %s", fault)
			}
			var got []string
			for entry := range list.All() {
				if !list.Has(entry) {
					t.Errorf("All yields %q, and Has denies it", entry)
				}
				if !strings.HasPrefix(entry, "filler") {
					got = append(got, entry)
				}
			}
			if diff := cmp.Diff(test.entries, got); diff != "" {
				t.Errorf("entries (-want +got)\n%s", diff)
			}
			last := len(good) + 1
			for _, check := range []struct {
				name  string
				want  bool
				count func() (int, []int)
			}{{"skipped", test.skipped, list.Skipped}, {"unusable", test.unusable, list.Unusable}} {
				count, lines := check.count()
				if check.want != (count == 1 && slices.Equal(lines, []int{last})) || !check.want && count != 0 {
					t.Errorf("%s: %d, lines %v", check.name, count, lines)
				}
			}
		})
	}
}

func TestListsThatAreNone(t *testing.T) {
	for sentence, test := range map[string]struct {
		text string
		want string // a part of the fault
	}{
		"an empty one":                         {"", "no entry"},
		"one of comments":                      {"# nothing\n\n# at all\n", "no entry"},
		"a hosts file":                         {strings.Repeat("0.0.0.0 a.example\n", 9), "no entry"},
		"a page of HTML":                       {"<!DOCTYPE html>\n<html><body>\nNot\nFound\n</body></html>\n", "the first is line 1"},
		"over one malformed line in a hundred": {strings.Repeat("a.example\nb.example\n", 50) + "a b\nc d\n", "the first is line 101"},
	} {
		t.Run(sentence, func(t *testing.T) {
			list := rules.CompileList([]byte(test.text))
			if got := list.Fault(); !strings.Contains(got, test.want) {
				t.Errorf("fault %q, want one with %q", got, test.want)
			}
			for entry := range list.All() {
				t.Errorf("has %q", entry)
			}
		})
	}
}

func TestOneMalformedLineInAHundredIsSkipped(t *testing.T) {
	var lines []string
	for i := range 99 {
		lines = append(lines, fmt.Sprintf("a%d.example", i))
	}
	list := listOf(append(lines, "no entry")...)
	if count, numbers := list.Skipped(); list.Fault() != "" || count != 1 || !slices.Equal(numbers, []int{100}) || list.Entries() != 99 {
		t.Errorf("fault %q, %d entries, skipped %d: %v", list.Fault(), list.Entries(), count, numbers)
	}
}

func TestTheDigestOfAListIsThatOfItsText(t *testing.T) {
	text := []byte("a.example\r\n# b\nc.example")
	sum := sha256.Sum256(text)
	if got, want := rules.CompileList(text).Digest(), "sha256:"+hex.EncodeToString(sum[:]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	whole := rules.CompileList([]byte("a.example\nb.example\nc.example"))
	parts := rules.CompileList([]byte("a.example\nb.example"), nil, []byte("c.example"))
	if whole.Digest() != parts.Digest() || parts.Entries() != 3 {
		t.Errorf("in parts: %s with %d entries, as one: %s", parts.Digest(), parts.Entries(), whole.Digest())
	}
}

func TestTheTableOfAListIsASetOfItsEntries(t *testing.T) {
	for _, count := range []int{1, 7, 8, 9, 1000, 50_000} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			want := map[string]bool{}
			var text strings.Builder
			for i := range count {
				entry := fmt.Sprintf("n%d.example", i*7)
				switch i % 3 {
				case 1:
					entry = "*." + entry
				case 2:
					entry = "jo@" + entry
				}
				want[entry] = true
				text.WriteString(entry + "\n")
				if i%5 == 0 {
					text.WriteString(strings.ToUpper(entry) + "\n") // again
				}
			}
			list := rules.CompileList([]byte(text.String()))
			got := map[string]bool{}
			for entry := range list.All() {
				if got[entry] {
					t.Errorf("%s twice", entry)
				}
				got[entry] = true
			}
			if !maps.Equal(want, got) || list.Entries() != len(want) {
				t.Errorf("%d entries, %d yielded, want %d", list.Entries(), len(got), len(want))
			}
			for i := range count {
				if other := fmt.Sprintf("n%d.example", i*7+1); list.Has(other) || list.Has("*."+other) || list.Has("jo@"+other) {
					t.Fatalf("has %s, which is on no line", other)
				}
			}
		})
	}
}

func TestWhatAListDenies(t *testing.T) {
	list := listOf("acme.com", "*.below.example", "jo@whole.example", "faß.example", "zip")
	for name, want := range map[string]bool{
		"acme.com": true, "a.b.acme.com": true, "xacme.com": false, "com.acme": false,
		"below.example": false, "a.below.example": true, "whole.example": false,
		"xn--fa-hia.example": true, "fass.example": true, "a.zip": true,
	} {
		domain, err := rules.ParseDomain(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := list.Denies(domain); got != want {
			t.Errorf("denies %s: %t, want %t", name, got, want)
		}
	}
}

// FuzzCompileList holds whatever is given for a list to what must be true of every one.
func FuzzCompileList(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "acme.com\n*.acme.com\njo@acme.com\n", "\ufeffa.example\r\n# c\r\nb.example # d", "co.uk\nMÜLLER.de\nfaß.example\n",
		"0.0.0.0 a.example\n", "*\n", "a.example\xff\n", strings.Repeat("a.example\n", 200) + "\x00\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list := rules.CompileList(text)
		skipped, numbers := list.Skipped()
		if len(numbers) > 10 || len(numbers) > skipped || !slices.IsSorted(numbers) {
			t.Fatalf("%d skipped, lines %v", skipped, numbers)
		}
		reasons := 0
		for line := range bytes.Lines(text) {
			if rules.SkippedLineReason(string(bytes.TrimSuffix(line, []byte("\n")))) != "" {
				reasons++
			}
		}
		if reasons != skipped {
			t.Fatalf("%d lines are skipped, and %d have a reason", skipped, reasons)
		}
		yielded := 0
		for entry := range list.All() {
			yielded++
			again := rules.CompileList([]byte(entry))
			if again.Fault() != "" || !again.Has(entry) || !list.Has(entry) {
				t.Fatalf("entry %q is none when it is a list of its own: %s", entry, again.Fault())
			}
		}
		if list.Fault() == "" && (yielded == 0 || yielded != list.Entries()) {
			t.Fatalf("%d entries, %d yielded", list.Entries(), yielded)
		}
		if list.Fault() != "" && yielded > 0 {
			t.Fatalf("%d entries in spite of the fault %s", yielded, list.Fault())
		}
		// Line ends, a byte order mark and a comment change nothing but the digest.
		dressed := "\ufeff" + strings.ReplaceAll(strings.ReplaceAll(string(text), "\r", ""), "\n", "\r\n") + "\r\n# end"
		if plain := rules.CompileList([]byte(strings.ReplaceAll(string(text), "\r", ""))); !strings.HasPrefix(string(text), "\ufeff") {
			other := rules.CompileList([]byte(dressed))
			if plain.Entries() != other.Entries() || plain.Fault() != other.Fault() {
				t.Fatalf("%d entries (%s), dressed %d (%s)", plain.Entries(), plain.Fault(), other.Entries(), other.Fault())
			}
		}
	})
}
