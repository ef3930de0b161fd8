package listguard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
)

// list compiles a list of entries.
func list(entries ...string) *rules.List {
	return rules.CompileList([]byte(strings.Join(entries, "\n") + "\n"))
}

// found formats refusals: kind, entry and what it affects.
func found(refusals []Refusal) []string {
	var all []string
	for _, o := range refusals {
		all = append(all, strings.TrimSpace(string(o.Kind)+" "+o.Entry+" "+o.Affects))
	}
	return all
}

func TestTheGuard(t *testing.T) {
	filler := func(count int) []string { // so that one entry more is no large change
		var all []string
		for i := range count {
			all = append(all, fmt.Sprintf("throwaway%d.example", i))
		}
		return all
	}
	many := filler(100)
	with := func(entries ...string) *rules.List { return list(append(entries, many...)...) }
	byName := func(entry string) []AllowedEntry {
		return []AllowedEntry{{entry, "okta/partners", "spec.allow.domains[0]"}}
	}
	for sentence, test := range map[string]struct {
		use      Use
		old, now *rules.List
		allowed  []AllowedEntry
		want     []string
	}{
		"lets pass what hits nobody": {now: with("mailinator.example"), allowed: byName("acme.com")},
		"refuses a country": {
			now: with("gr", "edu.pl", "*.ac.uk", "github.io", "jo@edu.pl"), want: []string{"PublicSuffix *.ac.uk", "PublicSuffix edu.pl", "PublicSuffix gr"},
		},
		"says of a country once": {old: with("be"), now: with("be")},
		"refuses names below a mailbox provider": {
			now:  with("vip.163.com", "*.yahoo.com", "notgmail.com"),
			want: []string{"MailboxProvider *.yahoo.com yahoo.com", "MailboxProvider vip.163.com 163.com"},
		},
		"refuses addresses at a mailbox provider in a list of domains": {
			old: with(), now: with("jo@gmail.com", "al+*@gmail.com", "jo@acme.com"), want: []string{"MailboxProvider @gmail.com gmail.com"},
		},
		"lets pass addresses in a list that has some": {old: with("ed@acme.com"), now: with("ed@acme.com", "jo@gmail.com")},
		"refuses all that is below a mailbox provider in a list that allows": {
			use: Allow, now: with("*.gmail.com"), want: []string{"MailboxProvider *.gmail.com gmail.com"},
		},
		"refuses an allowed domain": {now: with("acme.com"), allowed: byName("acme.com"), want: []string{"AllowedByName acme.com acme.com"}},
		"refuses a domain above an allowed one": {
			now: with("acme.com"), allowed: byName("mail.acme.com"), want: []string{"AllowedByName acme.com mail.acme.com"},
		},
		"refuses a wildcard above an allowed domain": {
			now: with("*.acme.com"), allowed: byName("mail.acme.com"), want: []string{"AllowedByName *.acme.com mail.acme.com"},
		},
		"refuses a whole top-level domain above an allowed one": {
			now: with("example"), allowed: byName("acme.example"), want: []string{"AllowedByName example acme.example", "PublicSuffix example"},
		},
		"lets pass what is below an allowed domain: that one allows the domain itself alone": {now: with("mail.acme.com"), allowed: byName("acme.com")},
		"refuses what a wildcard allows, as a whole": {
			now: with("*.acme.com"), allowed: byName("*.acme.com"), want: []string{"AllowedByName *.acme.com *.acme.com"},
		},
		"refuses the domain that a wildcard is below": {
			now: with("acme.com"), allowed: byName("*.acme.com"), want: []string{"AllowedByName acme.com *.acme.com"},
		},
		"refuses a part of what a wildcard allows": {
			now: with("mail.acme.com", "*.a.b.acme.com"), allowed: byName("*.acme.com"),
			want: []string{"AllowedByName *.a.b.acme.com *.acme.com", "AllowedByName mail.acme.com *.acme.com"},
		},
		"refuses the domain of an allowed address, and names no local part": {
			now: with("partner.example"), allowed: byName("jo@partner.example"), want: []string{"AllowedByName partner.example @partner.example"},
		},
		"refuses an allowed address, and names no local part": {
			now: with("jo@partner.example"), allowed: byName("jo@partner.example"), want: []string{"AllowedByName @partner.example @partner.example"},
		},
		"lets pass another address of an allowed domain": {now: with("mallory@acme.com"), allowed: byName("acme.com")},
		"does not ask again what was let pass before":    {old: with("acme.com"), now: with("acme.com", "b.example"), allowed: byName("acme.com")},
		"does not ask again what a broader entry denied": {old: with("com"), now: with("acme.com"), allowed: byName("acme.com")},
		"asks of a broader entry than before": {
			old: with("*.acme.com"), now: with("acme.com"), allowed: byName("acme.com"), want: []string{"AllowedByName acme.com acme.com"},
		},
		"refuses a mailbox provider":                 {now: with("gmail.com"), want: []string{"MailboxProvider gmail.com gmail.com"}},
		"refuses a privacy relay":                    {now: with("duck.com"), want: []string{"MailboxProvider duck.com duck.com"}},
		"refuses what is above a provider":           {now: with("appleid.com"), want: []string{"MailboxProvider appleid.com privaterelay.appleid.com"}},
		"does not ask again of a provider":           {old: with("gmail.com"), now: with("gmail.com", "b.example")},
		"lets a fifth of the list change":            {old: list(filler(10)...), now: list(filler(12)...)},
		"refuses more than a fifth of the list":      {old: list(filler(10)...), now: list(filler(13)...), want: []string{"TooMuchChange"}},
		"counts what goes as what comes":             {old: list(filler(10)...), now: list(filler(7)...), want: []string{"TooMuchChange"}},
		"has nothing to compare the first list with": {now: list(filler(1000)...)},
		"refuses what is not a list":                 {now: list("<html>", "<body>", "acme.com"), want: []string{"NotAList"}},
		"refuses an empty list":                      {old: with(), now: list("# all gone"), want: []string{"NotAList"}},

		"in a list for allowing, lets pass what denying may not": {use: Allow, now: with("acme.com"), allowed: byName("acme.com")},
		"in a list for allowing, refuses a mailbox provider":     {use: Allow, now: with("gmail.com"), want: []string{"MailboxProvider gmail.com gmail.com"}},
		"in a list for allowing, refuses a public suffix and a wildcard over one": {
			use: Allow, now: with("co.uk", "*.uk"), want: []string{"PublicSuffix *.uk", "PublicSuffix co.uk"},
		},
		"in a list for allowing, does not ask again":                 {use: Allow, old: with("gmail.com", "co.uk"), now: with("gmail.com", "co.uk", "b.example")},
		"in a list for allowing, lets pass an address at a provider": {use: Allow, now: with("jo@gmail.com")},
	} {
		t.Run(sentence, func(t *testing.T) {
			if test.use == "" {
				test.use = Deny
			}
			c := Change{Use: test.use, Old: test.old, New: test.now, Allowed: test.allowed, MaxChange: 20}
			got := c.Refusals()
			if diff := cmp.Diff(test.want, found(got)); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			for _, o := range got {
				if strings.Contains(o.Text, "jo@") {
					t.Errorf("a local part: %s", o.Text)
				}
			}
		})
	}
}

func TestALargeChangeNamesWhatComesAndGoes(t *testing.T) {
	c := Change{Use: Deny, Old: list("a.example", "b.example"), New: list("b.example", "c.example", "jo@d.example"), MaxChange: 20}
	got := c.Refusals()
	const want = "2 added and 1 removed, of 2 entries: 150.0 %, more than --max-change allows (20 %); added: @d.example, c.example; removed: a.example"
	if len(got) != 1 || got[0].Text != want {
		t.Errorf("got %+v, want %q", got, want)
	}
}

func TestTheGuardNamesNoMoreThanAPersonReads(t *testing.T) {
	var entries []string
	var allowed []AllowedEntry
	for i := range 50 {
		entries = append(entries, fmt.Sprintf("acme%d.com", i))
		allowed = append(allowed, AllowedEntry{entries[i], "okta/partners", fmt.Sprintf("spec.allow.domains[%d]", i)})
	}
	c := Change{Use: Deny, New: list(entries...), Allowed: allowed}
	got := c.Refusals()
	if len(got) != maxReported+1 || got[maxReported].Text != "and 30 more of this kind" {
		t.Errorf("%d refusals, the last %+v", len(got), got[len(got)-1])
	}
}

func TestAPageOfHTMLIsSaidToBeOne(t *testing.T) {
	for _, page := range []string{"<!DOCTYPE html>\n<title>Sign in</title>", "\n  <html lang=en>", "\ufeff<HTML>"} {
		c := Change{Use: Deny, New: list(page), NewText: []byte(page)}
		if said := c.Refusals(); len(said) != 1 || said[0].Kind != NotAList || !strings.Contains(said[0].Text, "HTML page") {
			t.Errorf("%q: %+v", page, said)
		}
	}
	if isHTML([]byte("acme.com\n<html>")) {
		t.Error("a list with a stray line is taken for a page")
	}
}
