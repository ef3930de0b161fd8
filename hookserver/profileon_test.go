package hookserver

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// Each kind of call gets its attributes by the command that Okta runs for it, where the policy sends them there.
func TestAttributesGoOutByTheCommandOfTheCall(t *testing.T) {
	const (
		signUpCommand      = `"com.okta.user.profile.update"`
		progressiveCommand = `"com.okta.user.progressive.profile.update"`
	)
	signsUp := `{"eventType":"com.okta.user.pre-registration","requestType":"self.service.registration",` +
		`"data":{"userProfile":{"login":"jo@acme.com","email":"jo@acme.com"}}}`
	progresses := `{"eventType":"com.okta.user.pre-registration","requestType":"progressive.profile",` +
		`"data":{"userProfileUpdate":{"email":"jo@acme.com"}}}`
	contradicts := strings.Replace(progresses, "progressive.profile", "self.service.registration", 1)
	changesNoAddress := strings.Replace(progresses, `"email":"jo@acme.com"`, `"nickName":"jo"`, 1)
	both := []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile}
	for sentence, test := range map[string]struct {
		on   []rules.RequestType
		body string
		want string // the command; "" for none
	}{
		"a sign-up, by default":                           {nil, signsUp, signUpCommand},
		"a progressive profile, by default":               {nil, progresses, ""},
		"a progressive profile of a policy that names it": {both, progresses, progressiveCommand},
		"a sign-up of a policy that names both":           {both, signsUp, signUpCommand},
		"a sign-up of a policy that names only the other": {both[1:], signsUp, ""},
		"a call whose requestType contradicts its data":   {both, contradicts, ""},
		"a progressive profile that changes no address":   {both, changesNoAddress, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := run(t)
			policy := allowing("acme.com")
			policy.Profile = []rules.ProfileAttribute{{Name: "userType", Value: `"Partner"`}}
			policy.ProfileOn = test.on
			server.publish(policy)
			got := server.post(test.body)
			if !strings.Contains(got.body, `{"registration":"ALLOW"}`) {
				t.Fatalf("not allowed: %s", got.body)
			}
			for _, command := range []string{signUpCommand, progressiveCommand} {
				if strings.Contains(got.body, command) != (command == test.want) {
					t.Errorf("want the command %q, got %s", test.want, got.body)
				}
			}
		})
	}
}
