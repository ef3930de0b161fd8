package registration

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/internal/oktasim"
)

func TestTheRegistrationOfFlags(t *testing.T) {
	for sentence, test := range map[string]struct {
		flags      Flags
		attributes []string
		want       oktasim.Registration
	}{
		"no address": {
			Flags{Shape: ShapeEngine}, nil,
			oktasim.Registration{Shape: oktasim.SignUp, Profile: map[string]any{"email": PreviewAddress, "login": PreviewAddress}},
		},
		"a login on Classic": {
			Flags{Shape: ShapeClassic, Address: "jo@acme.com", HasAddress: true, Login: "jo", Source: "rul1"}, []string{"email", "login"},
			oktasim.Registration{Shape: oktasim.ClassicSignUp, Source: "rul1", Profile: map[string]any{"email": "jo@acme.com", "login": "jo"}},
		},
		"an attribute of the org": {
			Flags{Shape: ShapeEngine, Address: "jo@acme.com", HasAddress: true}, []string{"work", "email"},
			oktasim.Registration{Shape: oktasim.SignUp, Profile: map[string]any{"email": "jo@acme.com", "login": "jo@acme.com", "work": "jo@acme.com"}},
		},
		"a change of a profile leaves the login": {
			Flags{Shape: ShapeProgressive, Address: "jo@acme.com", HasAddress: true}, nil,
			oktasim.Registration{Shape: oktasim.ProgressiveProfile, Update: map[string]any{"email": "jo@acme.com"}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.flags.Registration(test.attributes)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
