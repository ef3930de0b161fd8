package rules

import "strings"

// Texts are the built-in sentences for a person whose call is denied: one for each Code, and one for an address that is
// invalid only because of blanks. In each, and in a policy's message, {id} stands for the decision id.
type Texts struct {
	// NotAllowed is for CodeNotAllowed, Invalid for CodeInvalid, Unavailable for CodeUnavailable.
	NotAllowed  string
	Invalid     string
	Unavailable string
	// Blank is for CodeInvalid if the address is invalid only because of blanks: see [Blank].
	Blank string
}

// DefaultTexts returns the texts of an operator without texts of its own.
func DefaultTexts() Texts {
	return Texts{
		NotAllowed:  "Registration with this email address is not allowed. If you need help, contact support with reference {id}.",
		Invalid:     "Please enter a valid email address.",
		Unavailable: "Registration is not available at the moment. Please try again later, or contact support with reference {id}.",
		Blank: "There is a space or an invisible character in the email address or login, perhaps at its end. " +
			"Please type it again without spaces.",
	}
}

// For returns the sentence for the person whose call d denies, or "" if d allows it.
func (t Texts) For(d *Decision, decisionID string) string {
	text := d.Message
	if text == "" {
		switch d.Reason.Code() {
		case CodeNotAllowed:
			text = t.NotAllowed
		case CodeInvalid:
			text = t.Invalid
			if d.Invalid == Blank {
				text = t.Blank
			}
		case CodeUnavailable:
			text = t.Unavailable
		}
	}
	return strings.ReplaceAll(text, "{id}", decisionID)
}
