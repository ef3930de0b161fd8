package rules

import "strings"

// Texts are the sentences for a person who is denied, if no policy has a message for them: one for each Code, and one
// for an address that is invalid only because of blanks. {id} in a sentence, or in a policy's message, is replaced by
// the decision id.
type Texts struct {
	// NotAllowed is the sentence for CodeNotAllowed, Invalid for CodeInvalid, and Unavailable for CodeUnavailable.
	NotAllowed  string
	Invalid     string
	Unavailable string
	// Blank replaces Invalid if the address is invalid only because of a space or an invisible character.
	Blank string
}

// DefaultTexts returns the built-in texts, which the operator's flags can replace.
func DefaultTexts() Texts {
	return Texts{
		NotAllowed:  "Registration with this email address is not allowed. If you need help, contact support with reference {id}.",
		Invalid:     "Please enter a valid email address.",
		Unavailable: "Registration is not available at the moment. Please try again later, or contact support with reference {id}.",
		Blank: "There is a space or an invisible character in the email address or login, perhaps at its end. " +
			"Please type it again without spaces.",
	}
}

// For returns the sentence for the person whom a decision denies, or "" for an allow.
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
