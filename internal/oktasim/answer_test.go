package oktasim_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/vectors"
)

const (
	allow     = `{"type":"com.okta.action.update","value":{"registration":"ALLOW"}}`
	deny      = `{"type":"com.okta.action.update","value":{"registration":"DENY"}}`
	emailText = `{"errorSummary":"Only acme.com.","reason":"EMAIL_NOT_ALLOWED","locationType":"body",` +
		`"location":"data.userProfile.email","domain":"end-user"}`
	loginText = `{"errorSummary":"Not this login.","reason":"EMAIL_NOT_ALLOWED","locationType":"body",` +
		`"location":"data.userProfile.login","domain":"end-user"}`

	creating   = "There was an error creating your account. Please try registering again."
	updating   = "There was an error updating your profile."
	noCauses   = "Registration cannot be completed at this time."
	someErrors = "We found some errors. Please review the form and make corrections."
)

func top(text string) oktasim.Page { return oktasim.Page{{Text: text}} }

func both(text string) oktasim.Result {
	return oktasim.Result{Classic: top(text), IdentityEngine: top(text)}
}

func (c contractRow) answer() oktasim.Answer {
	a := oktasim.Answer{Status: c.status, ContentType: c.contentType, Body: []byte(c.body)}
	if a.Status == 0 {
		a.Status = 200
	}
	if a.ContentType == "" {
		a.ContentType = "application/json"
	}
	return a
}

type contractRow struct {
	shape       oktasim.Shape
	status      int    // 0: 200
	contentType string // "": application/json
	body        string
	want        oktasim.Result // without Status and Faults
	faults      []string       // a part of each
}

func denied(classic, engine oktasim.Page) oktasim.Result {
	return oktasim.Result{Outcome: oktasim.Denied, Classic: classic, IdentityEngine: engine}
}

func failed() oktasim.Result { return both(creating) }

func TestTheTableOfAnswers(t *testing.T) {
	byDefault := oktasim.Result{Outcome: oktasim.Registered, ByDefault: true}
	for sentence, row := range map[string]contractRow{
		"DENY with an error denies and shows the cause": {
			body: `{"commands":[` + deny + `],"error":{"errorSummary":"Only acme.com.","errorCauses":[` + emailText + `]}}`,
			want: denied(top("Only acme.com."), oktasim.Page{{Text: "Only acme.com.", Attribute: "email"}}),
		},
		"two causes: Classic shows the first, Identity Engine each next to its attribute": {
			body: `{"commands":[` + deny + `],"error":{"errorSummary":"No.","errorCauses":[` +
				emailText + `,` + loginText + `]}}`,
			want: denied(top("Only acme.com."), oktasim.Page{
				{Text: "Only acme.com.", Attribute: "email"}, {Text: "Not this login.", Attribute: "login"},
			}),
		},
		"causes located elsewhere are generic on Classic and not shown inline on Identity Engine": {
			body: `{"commands":[` + deny + `],"error":{"errorSummary":"No.","errorCauses":[` +
				strings.Replace(emailText, "userProfile.", "userProfileUpdate.", 1) + `]}}`,
			want:   denied(top(someErrors), oktasim.Page{}),
			faults: []string{`errorCauses[0].location is "data.userProfileUpdate.email"`},
		},
		"an error without causes is generic": {
			body:   `{"commands":[` + deny + `],"error":{"errorSummary":"No."}}`,
			want:   denied(top(noCauses), top(noCauses)),
			faults: []string{"errorCauses is missing"},
		},
		"an error without causes is generic, in other words for a progressive profile": {
			shape:  oktasim.ProgressiveProfile,
			body:   `{"commands":[` + deny + `],"error":{"errorSummary":"No.","errorCauses":[]}}`,
			want:   denied(nil, top(someErrors)),
			faults: []string{"errorCauses is missing"},
		},
		"DENY without an error": {
			shape:  oktasim.ClassicSignUp,
			body:   `{"commands":[` + deny + `]}`,
			want:   denied(top("Registration denied."), top("Registration denied.")),
			faults: []string{"DENY without error"},
		},
		"DENY without an error for a progressive profile": {
			shape:  oktasim.ProgressiveProfile,
			body:   `{"commands":[` + deny + `]}`,
			want:   denied(nil, top("Profile update denied.")),
			faults: []string{"DENY without error"},
		},
		"ALLOW lets the registration go on": {
			body: `{"commands":[` + allow + `],"debugContext":{"decisionID": "d1"}}`,
			want: oktasim.Result{Outcome: oktasim.Registered, DebugContext: `{"decisionID":"d1"}`},
		},
		"204 lets the registration go on without any update": {
			status: 204,
			want:   oktasim.Result{Outcome: oktasim.Registered},
		},
		"profile updates of a sign-up are set in the order given": {
			body: `{"commands":[` + allow + `,` +
				`{"type":"com.okta.user.profile.update","value":{"userType":"Partner","a":[ 1 ]}},` +
				`{"type":"com.okta.user.profile.update","value":{"userType":null}}]}`,
			want: oktasim.Result{Outcome: oktasim.Registered, ProfileUpdates: []oktasim.ProfileUpdate{
				{Attribute: "userType", Value: `"Partner"`}, {Attribute: "a", Value: `[1]`}, {Attribute: "userType", Value: `null`},
			}},
		},
		"progressive profile updates are for progressive profiles": {
			shape: oktasim.ProgressiveProfile,
			body:  `{"commands":[` + allow + `,{"type":"com.okta.user.progressive.profile.update","value":{"n":"1234"}}]}`,
			want: oktasim.Result{Outcome: oktasim.Registered, ProfileUpdates: []oktasim.ProfileUpdate{
				{Attribute: "n", Value: `"1234"`},
			}},
		},
		"the sign-up's update command does nothing for a progressive profile": {
			shape:  oktasim.ProgressiveProfile,
			body:   `{"commands":[` + allow + `,{"type":"com.okta.user.profile.update","value":{"n":"1"}}]}`,
			want:   oktasim.Result{Outcome: oktasim.Registered},
			faults: []string{"send com.okta.user.progressive.profile.update"},
		},
		"the progressive update command alone in a sign-up is one Okta does not know, and allows": {
			shape:  oktasim.ClassicSignUp,
			body:   `{"commands":[{"type":"com.okta.user.progressive.profile.update","value":{"n":"1"}}]}`,
			want:   byDefault,
			faults: []string{"does nothing in a call of the shape Classic sign-up", "allows by default"},
		},
		"an empty error fails the registration even beside ALLOW": {
			body: `{"commands":[` + allow + `,{"type":"com.okta.user.profile.update","value":{"a":"b"}}],"error":{}}`,
			want: denied(top(noCauses), top(noCauses)),
			faults: []string{
				"Okta does not run the ALLOW", "profile updates beside error",
				"errorSummary is missing", "errorCauses is missing",
			},
		},
		"an error that is null is an error": {
			body:   `{"commands":[` + allow + `],"error":null}`,
			want:   denied(top(noCauses), top(noCauses)),
			faults: []string{"Okta does not run the ALLOW", "error is not an object"},
		},
		"an error without a command denies": {
			body:   `{"error":{"errorSummary":"Only acme.com.","errorCauses":[` + emailText + `]}}`,
			want:   denied(top("Only acme.com."), oktasim.Page{{Text: "Only acme.com.", Attribute: "email"}}),
			faults: []string{"error without DENY"},
		},
		"{} allows by default": {
			body: `{}`, want: byDefault, faults: []string{"allows by default"},
		},
		"no command allows by default": {
			body: `{"commands":[]}`, want: byDefault, faults: []string{"allows by default"},
		},
		"com.action.update is a command that Okta does not know, so a DENY by that name allows": {
			body:   strings.Replace(`{"commands":[`+deny+`]}`, "com.okta.action", "com.action", 1),
			want:   byDefault,
			faults: []string{"commands[0].type is com.action.update", "allows by default"},
		},
		"any other unknown command allows by default": {
			body:   `{"commands":[{"type":"com.okta.identity.patch","value":{}},{"value":{}}]}`,
			want:   byDefault,
			faults: []string{`commands[0].type is "com.okta.identity.patch"`, "commands[1].type is missing", "by default"},
		},
		"a verdict in lower case is none, and allows by default": {
			body:   `{"commands":[{"type":"com.okta.action.update","value":{"registration":"deny"}}]}`,
			want:   byDefault,
			faults: []string{"commands[0].value.registration is neither", "by default"},
		},
		"`Error` with a capital is no error": {
			body:   `{"commands":[` + deny + `],"Error":{"errorSummary":"No.","errorCauses":[` + emailText + `]}}`,
			want:   denied(top("Registration denied."), top("Registration denied.")),
			faults: []string{`member "Error": Okta does not read it; write it "error"`, "DENY without error"},
		},
		"a cause that lacks members is named member by member": {
			body: `{"commands":[` + deny + `],"error":{"errorSummary":"No.","errorCauses":[{"errorSummary":"No."}]}}`,
			want: denied(top(someErrors), oktasim.Page{}),
			faults: []string{
				"errorCauses[0].reason is missing", "errorCauses[0].locationType is missing",
				"errorCauses[0].location is missing", "errorCauses[0].domain is missing",
			},
		},
		"UNIQUE_CONSTRAINT, another location type and a DNS domain are named": {
			body: `{"commands":[` + deny + `],"error":{"errorSummary":"No.","errorCauses":[{"errorSummary":"No.",` +
				`"reason":"UNIQUE_CONSTRAINT","locationType":"header","location":"data.userProfile.email","domain":"acme.com"}]}}`,
			want: denied(top("No."), oktasim.Page{{Text: "No.", Attribute: "email"}}),
			faults: []string{
				"reason is UNIQUE_CONSTRAINT", `locationType is "header"`, `domain is "acme.com"`,
			},
		},
		"the last of two verdicts counts": {
			body:   `{"commands":[` + allow + `,` + deny + `]}`,
			want:   denied(top("Registration denied."), top("Registration denied.")),
			faults: []string{"commands[1]: a second com.okta.action.update", "DENY without error"},
		},
		"a member that is there twice is read once, and named": {
			body:   `{"commands":[` + deny + `],"commands":[` + allow + `]}`,
			want:   oktasim.Result{Outcome: oktasim.Registered},
			faults: []string{"duplicate member"},
		},
		"debugContext that is no object is named": {
			body:   `{"commands":[` + allow + `],"debugContext":"d1"}`,
			want:   oktasim.Result{Outcome: oktasim.Registered, DebugContext: `"d1"`},
			faults: []string{"debugContext is not an object"},
		},
		"another content type is named": {
			contentType: "text/plain", body: `{"commands":[` + allow + `]}`,
			want:   oktasim.Result{Outcome: oktasim.Registered},
			faults: []string{`Content-Type is "text/plain"`},
		},
		"an empty body is a failure":        {body: " \n", want: failed(), faults: []string{"empty body"}},
		"an unreadable body is a failure":   {body: `{"commands":[`, want: failed(), faults: []string{"not a JSON object"}},
		"trailing text makes it unreadable": {body: `{} {}`, want: failed(), faults: []string{"not a JSON object"}},
		"null is unreadable":                {body: `null`, want: failed(), faults: []string{"not a JSON object"}},
		"commands of another form are unreadable": {
			body: `{"commands":{"type":"x"}}`, want: failed(), faults: []string{"commands is not a list"},
		},
		"an empty body fails a progressive profile in other words": {
			shape: oktasim.ProgressiveProfile,
			want:  oktasim.Result{IdentityEngine: top(updating)}, faults: []string{"empty body"},
		},
		"a body of 256 KB is refused": {
			body: `{"commands":[` + allow + `]}` + strings.Repeat(" ", 256<<10),
			want: failed(), faults: []string{"256 KB"},
		},
		"a status of 201 is taken, and named": {
			status: 201, body: `{"commands":[` + allow + `]}`,
			want: oktasim.Result{Outcome: oktasim.Registered}, faults: []string{"status 201"},
		},
		"a redirect is a failure": {status: 302, want: failed(), faults: []string{"does not follow redirects"}},
		"a 4xx is a failure, ALLOW or not": {
			status: 401, body: `{"commands":[` + allow + `]}`, want: failed(), faults: []string{"status 401"},
		},
		"a 5xx is a failure, on Classic too": {
			shape: oktasim.ClassicSignUp, status: 503, want: failed(), faults: []string{"status 503"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			answer := row.answer()
			got := oktasim.Read(row.shape, answer)
			row.want.Status = answer.Status
			ignored := cmpopts.IgnoreFields(oktasim.Result{}, "Faults")
			if diff := cmp.Diff(row.want, got, ignored, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			wantFaults(t, row.faults, got.Faults)
		})
	}
}

func TestOktasOwnSamplesOfAnswers(t *testing.T) {
	const number = "Employee numbers must have 4 digits."
	for sample, row := range map[string]contractRow{
		"allow.json": {want: oktasim.Result{Outcome: oktasim.Registered}},
		"deny.json": {want: denied(
			top("Only example.com emails can register."),
			oktasim.Page{{Text: "Only example.com emails can register.", Attribute: "email"}},
		)},
		"profile-update.json": {want: oktasim.Result{
			Outcome: oktasim.Registered, ByDefault: true,
			ProfileUpdates: []oktasim.ProfileUpdate{{Attribute: "login", Value: `"first.last@example.com"`}},
		}},
		"progressive-update.json": {shape: oktasim.ProgressiveProfile, want: oktasim.Result{
			Outcome: oktasim.Registered, ByDefault: true,
			ProfileUpdates: []oktasim.ProfileUpdate{{Attribute: "employeeNumber", Value: `"1234"`}},
		}},
		"progressive-deny.json": {
			shape:  oktasim.ProgressiveProfile,
			want:   denied(nil, oktasim.Page{{Text: number, Attribute: "employeeNumber"}}),
			faults: []string{"error without DENY"},
		},
	} {
		t.Run(sample, func(t *testing.T) {
			row.body = string(payload(t, vectors.OktaResponses(), sample))
			row.want.Status = 200
			got := oktasim.Read(row.shape, row.answer())
			if diff := cmp.Diff(row.want, got, cmpopts.IgnoreFields(oktasim.Result{}, "Faults")); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			wantFaults(t, row.faults, got.Faults)
		})
	}
}

// wantFaults expects as many faults as parts, each part in the one at its place.
func wantFaults(t *testing.T, parts []string, faults []oktasim.Fault) {
	t.Helper()
	ok := len(parts) == len(faults)
	for i := 0; ok && i < len(parts); i++ {
		ok = strings.Contains(faults[i].Text, parts[i])
	}
	if !ok {
		t.Errorf("faults is %q, want parts %q", faults, parts)
	}
}
