package rules

import "strings"

// Texts are the built-in sentences for a person who is turned away, one for each Code.
// In each, and in a policy's message, {id} stands for the decision id.
type Texts struct {
	// NotAllowed is for CodeNotAllowed, Invalid for CodeInvalid, Unavailable for CodeUnavailable.
	NotAllowed  string
	Invalid     string
	Unavailable string
}

// DefaultTexts returns the texts of an operator that was told no others.
func DefaultTexts() Texts {
	return Texts{
		NotAllowed:  "Registration with this email address is not allowed.",
		Invalid:     "Please enter a valid email address.",
		Unavailable: "Registration is not available at the moment. Please try again later, or contact support with reference {id}.",
	}
}

// For returns the sentence for the person whom d turns away, and "" when d allows.
func (t Texts) For(d *Decision, decisionID string) string {
	text := d.Message
	if text == "" {
		switch d.Reason.Code() {
		case CodeNotAllowed:
			text = t.NotAllowed
		case CodeInvalid:
			text = t.Invalid
		case CodeUnavailable:
			text = t.Unavailable
		}
	}
	return strings.ReplaceAll(text, "{id}", decisionID)
}
