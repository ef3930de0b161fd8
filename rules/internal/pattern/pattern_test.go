package pattern_test

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules/internal/pattern"
)

// names are all names of up to three labels from a small alphabet, and the root.
var names = []string{"", "a", "b", "a.a", "b.a", "ba", "a.ba", "a.b.a", "b.b.a"}

// matches is the meaning of a pattern in its simplest form.
func matches(p pattern.Pattern, name string) bool {
	below := p.Name == "" && name != "" || strings.HasSuffix(name, "."+p.Name)
	return p.Self && name == p.Name || p.Below && below
}

func TestAPatternCoversAnotherIfItMatchesAllThatTheOtherMatches(t *testing.T) {
	var patterns []pattern.Pattern
	for _, name := range names {
		for _, kind := range []pattern.Pattern{{Self: true}, {Below: true}, {Self: true, Below: true}} {
			if name != "" || !kind.Self { // "*" is the only pattern of the root
				patterns = append(patterns, pattern.Pattern{Name: name, Self: kind.Self, Below: kind.Below})
			}
		}
	}
	for _, p := range patterns {
		for _, o := range patterns {
			want := true
			for _, name := range names {
				// A name below each of the names stands for all of them.
				for _, one := range []string{name, "c." + name} {
					one = strings.TrimSuffix(one, ".")
					want = want && (!matches(o, one) || matches(p, one))
				}
			}
			if got := p.Covers(o); got != want {
				t.Errorf("%+v covers %+v: %t, want %t", p, o, got, want)
			}
		}
	}
}

func TestAPatternIsWrittenAsAnEntryOfAllow(t *testing.T) {
	for want, p := range map[string]pattern.Pattern{
		"*":          pattern.Any,
		"acme.com":   {Name: "acme.com", Self: true},
		"*.acme.com": {Name: "acme.com", Below: true},
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
}

func TestADeniedAddressHasAtMost254BytesInALabels(t *testing.T) {
	for last, want := range map[int]int{61: 1, 62: 0} {
		entry := strings.Repeat("l", 64) + "@" + strings.Repeat("ü.", 16) + strings.Repeat("a", last)
		keys, rejection := pattern.DenyAddress(entry)
		if len(keys) != want || (rejection.Message == "") != (want == 1) {
			t.Errorf("%d bytes: %d keys, %q", 64+1+16*len("xn--tda.")+last, len(keys), rejection.Message)
		}
	}
}
