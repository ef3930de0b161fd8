package rules_test

import (
	"testing"
	"unicode"

	"registrationpolicy.dev/operator/rules"
)

// Keyboards of telephones add a space behind what they complete, and copied text has spaces that do not show. The person is told
// so only where that is all that is wrong.
func TestAnAddressThatOnlyBlanksMakeInvalid(t *testing.T) {
	snapshot := compile(t, allow("all", "*"))
	for sentence, test := range map[string]struct {
		attribute rules.Attribute
		want      rules.Invalid
	}{
		"a space at the end":                       {text("email", "jo@acme.com "), rules.Blank},
		"a space at the beginning":                 {text("email", " jo@acme.com"), rules.Blank},
		"a space before the @":                     {text("email", "jo @acme.com"), rules.Blank},
		"spaces in the name and the domain":        {text("email", "jo doe@acme .com"), rules.Blank},
		"a tab":                                    {text("email", "jo@acme.com\t"), rules.Blank},
		"a line break":                             {text("email", "jo@acme.com\r\n"), rules.Blank},
		"a no-break space":                         {text("email", "jo@acme.com\u00a0"), rules.Blank},
		"a narrow no-break space":                  {text("email", "jo\u202f@acme.com"), rules.Blank},
		"an ideographic space":                     {text("email", "jo@acme.com\u3000"), rules.Blank},
		"a zero-width space":                       {text("email", "jo@acme\u200b.com"), rules.Blank},
		"a zero-width joiner":                      {text("email", "jo@ac\u200dme.com"), rules.Blank},
		"a word joiner":                            {text("email", "\u2060jo@acme.com"), rules.Blank},
		"a byte order mark":                        {text("email", "\ufeffjo@acme.com"), rules.Blank},
		"a soft hyphen":                            {text("email", "jo@ac\u00adme.com"), rules.Blank},
		"a mark of the direction of writing":       {text("email", "jo@acme.com\u200e"), rules.Blank},
		"a Hangul filler":                          {text("email", "jo@ac\u3164me.com"), rules.Blank},
		"a variation selector":                     {text("email", "jo@ac\ufe0fme.com"), rules.Blank},
		"a login with a space at the end":          {text("login", "jo@acme.com "), rules.Blank},
		"a user name with a space at the end":      {text("login", "jo.doe "), rules.Blank},
		"a user name in two words":                 {text("login", "jo doe"), rules.Blank},
		"an e-mail of two words without an @":      {text("email", "jo doe"), rules.NoAtSign},
		"only a space":                             {text("email", " "), rules.NoAtSign},
		"a login of only a space":                  {text("login", " "), rules.NoAtSign},
		"a display name":                           {text("email", "Jo Doe <jo@acme.com>"), rules.BadLocalPart},
		"two addresses":                            {text("email", "jo@acme.com, al@acme.com"), rules.ManyAtSigns},
		"a space and a second fault":               {text("email", "jo @acme..com"), rules.BadLocalPart},
		"a visible mark of the same category":      {text("email", "jo\u0600@acme.com"), rules.BadLocalPart},
		"no blank":                                 {text("email", "jo@acme..com"), rules.EmptyLabel},
		"text that is not UTF-8":                   {text("email", "jo\xff @acme.com"), rules.NotUTF8},
		"a thousand spaces: too long all the same": {text("email", "jo@acme.com"+string(make([]byte, 1000))), rules.TooLong},
		"a number":                                 {other("email"), rules.NotText},
	} {
		t.Run(sentence, func(t *testing.T) {
			calls := []rules.Call{update(test.attribute)}
			if test.attribute.Name == "email" {
				calls = append(calls, rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{test.attribute}})
			} else {
				calls = append(calls, rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{text("email", "jo@acme.com"), test.attribute}})
			}
			for _, call := range calls {
				d := snapshot.Decide(call)
				if d.Outcome != rules.Deny || d.Reason != rules.ReasonInvalidAddress || d.Invalid != test.want ||
					d.Attribute != test.attribute.Name || d.InvalidLength != len(test.attribute.Text) {
					t.Errorf("%v: %v %v %q at %q, length %d; want %q", call.Shape, d.Outcome, d.Reason, d.Invalid, d.Attribute,
						d.InvalidLength, test.want)
				}
			}
		})
	}
}

// Whatever is called a blank, no valid address has one.
func TestNoValidAddressHasABlank(t *testing.T) {
	snapshot := compile(t, allow("all", "*"))
	for r := range unicode.MaxRune + 1 {
		for _, address := range []string{"j" + string(r) + "o@acme.com", "jo@ac" + string(r) + "me.com"} {
			_, err := rules.ParseAddress(address)
			d := snapshot.Decide(update(text("email", address)))
			if (err == nil) != (d.Outcome == rules.Allow) || err == nil && d.Invalid != "" {
				t.Fatalf("%U: %v, %v %q", r, err, d.Outcome, d.Invalid)
			}
		}
	}
}
