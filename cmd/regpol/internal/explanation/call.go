package explanation

import (
	"errors"
	"fmt"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// Call is a call to explain.
type Call struct {
	request okta.Request
	shape   oktasim.Shape
	Address string // from the command line or --addresses; "" for a call of -f
}

// CallFor returns the call that Okta would make for a registration. address is the address that reports show for it. A
// registration without a source gives a call without one. oktasim would use an invented id, but a policy may name that
// id.
func CallFor(registration oktasim.Registration, address string, attributes []string) (Call, error) {
	call, err := registration.Call()
	if err != nil {
		return Call{}, err
	}
	request, err := okta.Decode(call.Body, attributes)
	if err != nil {
		return Call{}, fmt.Errorf("no call of Okta can have %s: %s", console.QuoteIfNeeded(address), malformedText(err))
	}
	request.Source = registration.Source
	return Call{request, call.Shape, address}, nil
}

// malformedTexts describes the classes of bodies that the hook does not decode.
var malformedTexts = map[okta.Malformed]string{
	okta.TooLarge:        fmt.Sprintf("it is longer than %d bytes", okta.MaxBody),
	okta.NotJSON:         "it is not a JSON text in UTF-8",
	okta.DuplicateMember: "an object in it has two members of the same name",
	okta.TrailingData:    "something follows the JSON text",
	okta.TooDeep:         "its arrays and objects are nested too deep",
	okta.TooManyMembers:  "an object in it has too many members",
}

// malformedText describes an error of [okta.Decode] in words, followed by its class in parentheses.
func malformedText(err error) string {
	if class, ok := errors.AsType[okta.Malformed](err); ok && malformedTexts[class] != "" {
		return fmt.Sprintf("%s (%s)", malformedTexts[class], class)
	}
	return err.Error()
}

// DecodeCall returns the call with a body as Okta posts it. name says where the body was read. If source is not empty,
// it replaces the source in the body.
func DecodeCall(name string, body []byte, attributes []string, source string) (Call, error) {
	request, err := okta.Decode(body, attributes)
	if err != nil {
		return Call{}, fmt.Errorf("%s is not a call from Okta: %s; the hook answers it with an error status, and Okta denies with a "+
			"text of its own", name, malformedText(err))
	}
	shape := oktasim.SignUp
	if call, err := oktasim.ParseCall(body); err == nil { // if ParseCall cannot tell the shape, reports show a sign-up
		shape = call.Shape
	}
	if source != "" {
		request.Source = source
	}
	return Call{request: request, shape: shape}, nil
}
