package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// previewAddress is the address of a call for which none was given. Its domain is reserved for examples (RFC 2606).
const previewAddress = "preview@example.com"

// The values of --shape.
const (
	shapeClassic     = "classic"
	shapeEngine      = "identity-engine"
	shapeProgressive = "progressive"
)

var shapes = []string{shapeClassic, shapeEngine, shapeProgressive}

// registrationOptions holds the flags of call and explain that describe a registration.
type registrationOptions struct {
	address    string
	hasAddress bool
	request    string // the file of -f, which replaces the other fields
	login      string
	source     string
	shape      string
}

// addFlags adds the flags. The help of --source names defaultSource as the default.
func (o *registrationOptions) addFlags(flags *pflag.FlagSet, defaultSource string) {
	flags.StringVar(&o.login, "login", "", "the login; default: the address in a sign-up, unchanged in a change of a profile")
	flags.StringVar(&o.source, "source", "", "id of Okta's enrolment policy or rule that calls; default: "+defaultSource)
	flags.StringVar(&o.shape, "shape", shapeEngine, strings.Join(shapes, ", "))
}

// registration returns the registration that the flags describe. The first of the operator's address attributes gets the
// address too, because an org may keep the address in an attribute of its own. Without attributes, only email and login
// get it.
func (o *registrationOptions) registration(attributes []string) oktasim.Registration {
	address := o.address
	if !o.hasAddress {
		address = previewAddress
	}
	profile := map[string]any{"email": address}
	if len(attributes) > 0 && !slices.Contains([]string{"email", "login"}, attributes[0]) {
		profile[attributes[0]] = address
	}
	if o.shape == shapeProgressive {
		if o.login != "" {
			profile["login"] = o.login
		}
		return oktasim.Registration{Shape: oktasim.ProgressiveProfile, Source: o.source, Update: profile}
	}
	profile["login"] = cmp.Or(o.login, address)
	shape := oktasim.SignUp
	if o.shape == shapeClassic {
		shape = oktasim.ClassicSignUp
	}
	return oktasim.Registration{Shape: shape, Source: o.source, Profile: profile}
}
