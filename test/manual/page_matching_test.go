package manual

import "testing"

func TestAQuotedTextIsHeldToTheProducedOne(t *testing.T) {
	for sentence, test := range map[string]struct {
		quoted, produced string
		want             bool
	}{
		"the same text":                         {"a\nb", "a\nb\n", true},
		"a line more than was produced":         {"a\nb", "a\n", false},
		"a line less than was produced":         {"a", "a\nb\n", false},
		"… within a line":                       {`{"time":"…","n":1}`, `{"time":"now","n":1}`, true},
		"… does not reach over a line":          {"a…b", "a\nb", false},
		"a line of … is any number of lines":    {"a\n…\nd", "a\nb\nc\nd", true},
		"a line of … is also none":              {"a\n…\nd", "a\nd", true},
		"what follows … must still be there":    {"a\n…\nd", "a\nb\nc", false},
		"a text is no regular expression":       {"a.c", "abc", false},
		"what differs beside … is a difference": {`{"time":"…","n":1}`, `{"time":"now","n":2}`, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := matches(lines(test.quoted), lines(test.produced)); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
