package list

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules/internal/address"
)

func TestReadingsAreWhatAListMatches(t *testing.T) {
	list := Compile([]byte("acme.com\n*.beta.example\nJo@acme.com\nco.uk\nfaß.example\n"))
	for denies, want := range map[bool][]Reading{
		false: {
			{"acme.com", true, false}, {"beta.example", false, true}, {"jo@acme.com", true, false}, {"xn--fa-hia.example", true, false},
		},
		true: {
			{"acme.com", true, true}, {"beta.example", false, true}, {"co.uk", true, true}, {"fass.example", true, true},
			{"jo@acme.com", true, false}, {"xn--fa-hia.example", true, true},
		},
	} {
		got := slices.SortedFunc(list.Readings(denies), func(a, b Reading) int { return strings.Compare(a.Key, b.Key) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("denies %t (-want +got)\n%s", denies, diff)
		}
	}
}

func TestAnAddressIsLookedUpWithAndWithoutItsSubAddress(t *testing.T) {
	list := Compile([]byte("jo+x@acme.com\nal+*@acme.com\n*.beta.example\n"))
	for text, want := range map[string]bool{
		"jo+x@acme.com": true, "jo+y@acme.com": false, "jo@acme.com": false,
		"al+x@acme.com": true, "al+y@acme.com": true, "al@acme.com": true, "al@acme.org": false,
		"jo@beta.example": false, "jo@a.beta.example": true, "jo@a.b.beta.example": true,
	} {
		addr, invalid := address.Read(text, address.Mail)
		if invalid != "" {
			t.Fatal(invalid)
		}
		verdict := list.Verdict(address.AppendKey(nil, addr), address.AppendSubAddressesKey(nil, addr), addr.Domain().String())
		if verdict.Denies() != want || verdict.Allows() != want {
			t.Errorf("%s: denies %t, allows %t, want %t", text, verdict.Denies(), verdict.Allows(), want)
		}
	}
}

func TestTheEntryThatMatchesADomain(t *testing.T) {
	list := Compile([]byte("acme.com\n*.beta.example\nboth.example\n*.both.example\nco.uk\njo@whole.example\n"))
	for name, want := range map[string]struct{ allows, denies string }{
		"acme.com":          {"acme.com", "acme.com"},
		"a.b.acme.com":      {"", "acme.com"}, // an allow entry is for the name alone
		"beta.example":      {"", ""},
		"a.b.beta.example":  {"*.beta.example", "*.beta.example"},
		"both.example":      {"both.example", "both.example"},
		"a.both.example":    {"*.both.example", "both.example"},
		"a.co.uk":           {"", "co.uk"},
		"whole.example":     {"", ""},
		"unknown.example":   {"", ""},
		"a.unknown.example": {"", ""},
	} {
		if allows, denies := list.Match(name, false), list.Match(name, true); allows != want.allows || denies != want.denies {
			t.Errorf("%s: %q and %q, want %q and %q", name, allows, denies, want.allows, want.denies)
		}
	}
}

// A caller may stop after any entry or reading: a loop that went on would panic.
func TestEntriesAndReadingsCanBeLeftEarly(t *testing.T) {
	list := Compile([]byte("acme.com\n*.acme.com\nbeta.example\n"))
	for most := range 3 {
		entries, readings := 0, 0
		for range list.All() {
			if entries++; entries > most {
				break
			}
		}
		for range list.Readings(true) {
			if readings++; readings > most {
				break
			}
		}
		if want := min(most+1, 2); entries != most+1 || readings != want {
			t.Errorf("%d entries and %d readings, want %d and %d", entries, readings, most+1, want)
		}
	}
}
