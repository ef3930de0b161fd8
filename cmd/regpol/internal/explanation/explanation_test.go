package explanation

import (
	"encoding/json"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
)

func TestEveryClassOfWhatCannotBeReadHasASentence(t *testing.T) {
	for _, class := range rules.Invalids() {
		if invalidTexts[class] == "" {
			t.Errorf("no text for %s", class)
		}
	}
	for _, class := range []okta.Malformed{
		okta.TooLarge, okta.NotJSON, okta.DuplicateMember, okta.TrailingData, okta.TooDeep, okta.TooManyMembers,
	} {
		if malformedTexts[class] == "" {
			t.Errorf("no text for %s", class)
		}
	}
}

func TestATextIsColouredOnlyIfItShallBe(t *testing.T) {
	r := Report{Answer: "DENY", Okta: json.RawMessage("{}")}
	if text := string(r.Text(true, true)); !strings.HasPrefix(text, "\x1b[31;1mdenied\x1b[0m ") {
		t.Errorf("coloured: %q", text)
	}
	if text := string(r.Text(true, false)); strings.Contains(text, "\x1b") {
		t.Errorf("plain: %q", text)
	}
}
