package oktasim

import "strings"

// Okta's generic texts in English.
const (
	textNoCauses      = "Registration cannot be completed at this time."
	textFoundErrors   = "We found some errors. Please review the form and make corrections."
	textSignUpDenied  = "Registration denied."
	textUpdateDenied  = "Profile update denied."
	textSignUpFailure = "There was an error creating your account. Please try registering again."

	// Invented: the documentation only says that Okta's text is about updating the profile.
	textUpdateFailure = "There was an error updating your profile."
)

// Line is one text that the person reads.
type Line struct {
	// Text is the sentence.
	Text string
	// Attribute is the attribute next to whose field Okta shows the text; "" means at the top of the form.
	Attribute string
}

// Page is the texts that the person reads, from the top. It is empty if Okta shows none.
type Page []Line

// Place returns where Okta shows the line, in words.
func (l Line) Place() string {
	if l.Attribute == "" {
		return "at the top"
	}
	return "next to " + l.Attribute
}

// String returns the texts, one per line.
func (p Page) String() string {
	lines := make([]string, len(p))
	for i, line := range p {
		lines[i] = line.Text
	}
	return strings.Join(lines, "\n")
}

func atTop(text string) Page { return Page{{Text: text}} }

// setPages sets what the person reads on each engine. It leaves the page of Classic empty for a progressive profile,
// which Classic does not have.
func (r *Result) setPages(shape Shape, classic, engine Page) {
	r.IdentityEngine = engine
	if shape != ProgressiveProfile {
		r.Classic = classic
	}
}

// fail sets the outcome and texts for a hook without a usable answer.
func (r *Result) fail(shape Shape) {
	r.Outcome = Failed
	signUp := atTop(textSignUpFailure)
	if shape == ProgressiveProfile {
		r.setPages(shape, nil, atTop(textUpdateFailure))
		return
	}
	r.setPages(shape, signUp, signUp)
}

// deny sets the outcome and texts for DENY without an error.
func (r *Result) deny(shape Shape) {
	r.Outcome = Denied
	if shape == ProgressiveProfile {
		r.setPages(shape, nil, atTop(textUpdateDenied))
		return
	}
	r.setPages(shape, atTop(textSignUpDenied), atTop(textSignUpDenied))
}

// denyWithCauses sets the outcome and texts for an error with these causes.
func (r *Result) denyWithCauses(shape Shape, causes []cause) {
	r.Outcome = Denied
	if len(causes) == 0 {
		engine := atTop(textNoCauses)
		if shape == ProgressiveProfile {
			engine = atTop(textFoundErrors)
		}
		r.setPages(shape, atTop(textNoCauses), engine)
		return
	}
	classic, engine := atTop(textFoundErrors), Page{}
	for _, c := range causes {
		attribute, inProfile := c.attribute()
		if !inProfile || c.Summary == "" {
			continue
		}
		if len(engine) == 0 {
			classic = atTop(c.Summary) // inferred: Classic shows the first cause located at an attribute
		}
		engine = append(engine, Line{Text: c.Summary, Attribute: attribute})
	}
	r.setPages(shape, classic, engine)
}

// Failure returns the result of a call to a hook that Okta cannot reach.
func Failure(shape Shape) Result {
	var r Result
	r.fail(shape)
	return r
}
