package lint

import (
	"strings"
	"testing"
)

// Names that differ in more are rarely compared: only if their keys have the same hash.
func TestNamesThatDifferInOneLetterAreOneLetterOff(t *testing.T) {
	for sentence, test := range map[string]struct {
		a, b string
		want bool
	}{
		"one exchanged":                        {"globex.com", "glabex.com", true},
		"one more inside":                      {"globex.com", "globbex.com", true},
		"one more at the start":                {"globex.com", "aglobex.com", true},
		"one more at the end":                  {"globex.com", "globexs.com", true},
		"two that changed places":              {"globex.com", "golbex.com", true},
		"two exchanged, one for its neighbour": {"globex.com", "glxoex.com", false},
		"a number of another length":           {"team1.com", "team10.com", false},
		"two exchanged":                        {"globex.com", "glaxex.com", false},
		"one exchanged, and one more":          {"globex.com", "glabbex.com", false},
		"two more":                             {"globex.com", "globabex.com", false},
		"other suffixes":                       {"globex.com", "glabex.org", false},
		"the longest that count as short":      {"acme.com", "acne.com", false},
		"one longer than those":                {"acmes.com", "acnes.com", true},
		"a short one and a longer one":         {"acme.com", "acmes.com", false},
		"other numbers":                        {"team11.com", "team12.com", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			name := func(text string) *allowedName { return &allowedName{name: text, label: strings.IndexByte(text, '.')} }
			if got := name(test.a).oneLetterOff(name(test.b)); got != test.want {
				t.Errorf("%s and %s: %t", test.a, test.b, got)
			}
			if got := name(test.b).oneLetterOff(name(test.a)); got != test.want {
				t.Errorf("%s and %s: %t", test.b, test.a, got)
			}
		})
	}
}
