package lint_test

import (
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// Each case names the warnings that it wants by a part of each.
func TestListWarnings(t *testing.T) {
	missing := func(optional, broken bool) []rules.ListUse {
		return []rules.ListUse{{Name: "list", Optional: optional, Broken: broken}}
	}
	allowing := func(lists ...rules.ListUse) rules.Policy {
		return with(allow("a"), func(p *rules.Policy) { p.Allow.Lists = lists })
	}
	denying := func(lists ...rules.ListUse) rules.Policy {
		return with(deny("a"), func(p *rules.Policy) { p.Deny.Lists = lists })
	}
	for sentence, test := range map[string]struct {
		policy rules.Policy
		want   []string
	}{
		"entries that are all in force are fine":    {allowing(listed("acme.com", "", "# none", "*.acme.com", "jo@acme.org")...), nil},
		"an optional list is missing":               {denying(missing(true, false)...), []string{"a spec.deny.lists[0]: list list: it is missing, and optional"}},
		"an optional list is broken, a rejection":   {denying(missing(true, true)...), nil},
		"a list that is needed is missing likewise": {denying(missing(false, false)...), nil},
		"a list without any entry has a fault":      {denying(listed("!")...), nil},
		"a list after one that is missing, and after one with a fault": {
			denying(slices.Concat(missing(true, false), missing(false, false), listed("!"), listed("acme.com", "com.ar"))...),
			[]string{
				"a spec.deny.lists[0]: list list: it is missing, and optional",
				"a spec.deny.lists[3]: list list: line 2 denies a whole country or sector",
			},
		},
		"one line is skipped": {
			allowing(listed(slices.Concat(slices.Repeat([]string{"acme.com"}, 200), []string{"!"})...)...),
			[]string{"a spec.allow.lists[0]: list list: line 201 is not an entry and skipped"},
		},
		"several lines are skipped": {
			allowing(listed(slices.Concat([]string{"!", "acme.com", "!"}, slices.Repeat([]string{"acme.com"}, 400))...)...),
			[]string{"a spec.allow.lists[0]: list list: lines 1, 3 are not an entry and skipped"},
		},
		"a country in a list that denies": {
			denying(listed("com.ar", "acme.com", "*.com.ar")...),
			[]string{"a spec.deny.lists[0]: list list: lines 1, 3 deny a whole country or sector"},
		},
		"a line that allows nothing": {
			allowing(listed("acme.com", "com.ar")...),
			[]string{"a spec.allow.lists[0]: list list: line 2 allows nothing, since anyone can register names"},
		},
		"lines that allow nothing, more than are named": {
			allowing(listed("acme.com", "com", "net", "org", "de", "uk", "fr", "it", "es", "nl", "be", "at", "com.ar")...),
			[]string{"a spec.allow.lists[0]: list list: lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more allow nothing"},
		},
		"public suffixes in a list that denies, and are no registry's": {denying(listed("acme.com", "github.io")...), nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := told(lint.ListWarnings(&test.policy))
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}
