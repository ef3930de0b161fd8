package lint

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNamesThatLookAlikeHaveOneSkeleton(t *testing.T) {
	for name, like := range map[string]string{
		"xn--pple-43d.com":       "apple.com",     // U+0430
		"acrne.com":              "acme.com",      // rn
		"g00gle.com":             "google.com",    // digits
		"paypa1.com":             "paypal.com",    // a digit
		"xn--80ak6aa92e.com":     "apple.com",     // all of it in Cyrillic
		"xn--80ak6aa92e.acme.co": "apple.acme.co", // one label
	} {
		if got, want := skeleton(name), skeleton(like); got != want {
			t.Errorf("%s has %q, %s has %q", name, got, like, want)
		}
	}
	if skeleton("acme.com") == skeleton("acne.com") {
		t.Error("acme and acne have one skeleton")
	}
}

func TestTheTableOfConfusablesIsWhole(t *testing.T) {
	if n := len(confusables()); n < 4000 {
		t.Fatalf("only %d characters", n)
	}
	for r, like := range confusables() {
		if like == "" || like == string(r) || !utf8.ValidString(like) || strings.ToLower(like) != like {
			t.Errorf("%U looks like %q", r, like)
		}
	}
}
