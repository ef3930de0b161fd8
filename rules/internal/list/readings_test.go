package list

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
