package oktasim

import "strings"

// The generic texts of Okta, in English.
const (
	textNoCauses      = "Registration cannot be completed at this time."
	textFoundErrors   = "We found some errors. Please review the form and make corrections."
	textSignUpDenied  = "Registration denied."
	textUpdateDenied  = "Profile update denied."
	textSignUpFailure = "There was an error creating your account. Please try registering again."

	// The sentence is ours: of Okta's it is only known that it speaks of updating the profile.
	textUpdateFailure = "There was an error updating your profile."
)

// Line is one text that the person reads.
type Line struct {
	// Text is the sentence.
	Text string
	// Attribute is the attribute next to which it stands; "" means at the top of the form.
	Attribute string
}

// Page is what the person reads, from the top. An empty page says nothing to him.
type Page []Line

// Place returns where the line stands, in words.
func (l Line) Place() string {
	if l.Attribute == "" {
		return "at the top"
	}
	return "next to " + l.Attribute
}

// String returns the texts, one a line.
func (p Page) String() string {
	lines := make([]string, len(p))
	for i, line := range p {
		lines[i] = line.Text
	}
	return strings.Join(lines, "\n")
}

func atTop(text string) Page { return Page{{Text: text}} }

// show puts on r what the person reads. Classic has no progressive profile, so nobody reads anything there.
func (r *Result) show(shape Shape, classic, engine Page) {
	r.IdentityEngine = engine
	if shape != ProgressiveProfile {
		r.Classic = classic
	}
}

// fail makes r the failure of a hook that gave no usable answer.
func (r *Result) fail(shape Shape) {
	r.Outcome = Failed
	signUp := atTop(textSignUpFailure)
	if shape == ProgressiveProfile {
		r.show(shape, nil, atTop(textUpdateFailure))
		return
	}
	r.show(shape, signUp, signUp)
}

// deny makes r the denial of a hook that sent no error.
func (r *Result) deny(shape Shape) {
	r.Outcome = Denied
	if shape == ProgressiveProfile {
		r.show(shape, nil, atTop(textUpdateDenied))
		return
	}
	r.show(shape, atTop(textSignUpDenied), atTop(textSignUpDenied))
}

// denyWith makes r the denial of a hook that sent an error with these causes.
func (r *Result) denyWith(shape Shape, causes []cause) {
	r.Outcome = Denied
	if len(causes) == 0 {
		engine := atTop(textNoCauses)
		if shape == ProgressiveProfile {
			engine = atTop(textFoundErrors)
		}
		r.show(shape, atTop(textNoCauses), engine)
		return
	}
	classic, engine := atTop(textFoundErrors), Page{}
	for _, c := range causes {
		attribute, inProfile := c.attribute()
		if !inProfile || c.Summary == "" {
			continue
		}
		if len(engine) == 0 {
			classic = atTop(c.Summary) // inferred: Classic shows the first cause that it can place
		}
		engine = append(engine, Line{Text: c.Summary, Attribute: attribute})
	}
	r.show(shape, classic, engine)
}

// Failure is what Okta makes of a call to a hook that it cannot call.
func Failure(shape Shape) Result {
	var r Result
	r.fail(shape)
	return r
}
