package registration

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// PreviewAddress is the address of a call for which none was given. Its domain is reserved for examples (RFC 2606).
const PreviewAddress = "preview@example.com"

// The values of --shape: a sign-up in Classic (ShapeClassic) or Identity Engine (ShapeEngine), or a change of a profile
// (ShapeProgressive).
const (
	ShapeClassic     = "classic"
	ShapeEngine      = "identity-engine"
	ShapeProgressive = "progressive"
)

// Shapes are the values of --shape.
var Shapes = []string{ShapeClassic, ShapeEngine, ShapeProgressive}

// Flags holds the arguments and flags of call and explain that describe a registration: its Address, Login, Source and
// Shape.
type Flags struct {
	Address    string
	HasAddress bool   // if false, the registration has PreviewAddress instead of Address
	Request    string // the file of -f, which has a whole call and so replaces all other fields
	Login      string
	Source     string
	Shape      string
}

// AddFlags adds the flags. The help of --source names defaultSource as the default.
func (o *Flags) AddFlags(flags *pflag.FlagSet, defaultSource string) {
	flags.StringVar(&o.Login, "login", "", "the login; default: the address in a sign-up, unchanged in a change of a profile")
	flags.StringVar(&o.Source, "source", "", "id of Okta's enrolment policy or rule that calls; default: "+defaultSource)
	flags.StringVar(&o.Shape, "shape", ShapeEngine, strings.Join(Shapes, ", "))
}

// Registration returns the registration that the flags describe. The first of the operator's address attributes gets the
// address too, because an org may keep the address in an attribute of its own. Without attributes, only email and login
// get it.
func (o *Flags) Registration(attributes []string) oktasim.Registration {
	address := o.Address
	if !o.HasAddress {
		address = PreviewAddress
	}
	profile := map[string]any{"email": address}
	if len(attributes) > 0 && !slices.Contains([]string{"email", "login"}, attributes[0]) {
		profile[attributes[0]] = address
	}
	if o.Shape == ShapeProgressive {
		if o.Login != "" {
			profile["login"] = o.Login
		}
		return oktasim.Registration{Shape: oktasim.ProgressiveProfile, Source: o.Source, Update: profile}
	}
	profile["login"] = cmp.Or(o.Login, address)
	shape := oktasim.SignUp
	if o.Shape == ShapeClassic {
		shape = oktasim.ClassicSignUp
	}
	return oktasim.Registration{Shape: shape, Source: o.Source, Profile: profile}
}
