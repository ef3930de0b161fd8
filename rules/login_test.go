package rules_test

import (
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// A login is a user name, an address, or invalid. A user name is skipped, so that only the e-mail address decides.
func TestLogins(t *testing.T) {
	snapshot := compile(t, allow("a", "acme.com"))
	for sentence, test := range map[string]struct {
		login  rules.Attribute
		reason rules.Reason
	}{
		"a user name":                         {text("login", "jo"), rules.ReasonAllowed},
		"a user name with dots and signs":     {text("login", "jo.doe-1_x+y!#$&*()/:;=?[]^{|}~,"), rules.ReasonAllowed},
		"an allowed address":                  {text("login", "jo@acme.com"), rules.ReasonAllowed},
		"another address":                     {text("login", "jo@evil.test"), rules.ReasonNotAllowed},
		"absent":                              {absent("login"), rules.ReasonAllowed},
		"null":                                {null("login"), rules.ReasonAllowed},
		"a number":                            {other("login"), rules.ReasonInvalidAddress},
		"empty":                               {text("login", ""), rules.ReasonAllowed},
		"another attribute is empty":          {text("secondEmail", ""), rules.ReasonAllowed},
		"a blank":                             {text("login", " "), rules.ReasonInvalidAddress},
		"a space":                             {text("login", "jo doe"), rules.ReasonInvalidAddress},
		"a tab":                               {text("login", "jo\tdoe"), rules.ReasonInvalidAddress},
		"a double quote":                      {text("login", `"jo"`), rules.ReasonInvalidAddress},
		"a quote":                             {text("login", "j'o"), rules.ReasonInvalidAddress},
		"a percent sign":                      {text("login", "jo%evil.test"), rules.ReasonInvalidAddress},
		"an escaped @":                        {text("login", "jo%40evil.test"), rules.ReasonInvalidAddress},
		"a backslash":                         {text("login", `EVIL\jo`), rules.ReasonInvalidAddress},
		"an angle bracket":                    {text("login", "<jo"), rules.ReasonInvalidAddress},
		"a closing angle bracket":             {text("login", "jo>"), rules.ReasonInvalidAddress},
		"a full-width @":                      {text("login", "jo＠evil.test"), rules.ReasonInvalidAddress},
		"a letter outside ASCII":              {text("login", "jö"), rules.ReasonInvalidAddress},
		"DEL":                                 {text("login", "jo\x7f"), rules.ReasonInvalidAddress},
		"invalid UTF-8":                       {text("login", "jo\xff"), rules.ReasonInvalidAddress},
		"an address that does not parse":      {text("login", "jo@acme"), rules.ReasonInvalidAddress},
		"another attribute holds a user name": {text("secondEmail", "jo"), rules.ReasonInvalidAddress},
	} {
		t.Run(sentence, func(t *testing.T) {
			call := rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{text("email", "jo@acme.com"), test.login}}
			got := snapshot.Decide(call)
			if got.Reason != test.reason {
				t.Errorf("got %s, want %s", got.Reason, test.reason)
			}
			if got.Outcome == rules.Deny && got.Attribute != test.login.Name {
				t.Errorf("attribute %q, want %q", got.Attribute, test.login.Name)
			}
		})
	}
}
