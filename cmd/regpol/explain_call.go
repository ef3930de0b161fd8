package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// The words of --shape.
const (
	shapeClassic     = "classic"
	shapeEngine      = "identity-engine"
	shapeProgressive = "progressive"
)

var shapes = []string{shapeClassic, shapeEngine, shapeProgressive}

// explainedCall is the call to explain.
type explainedCall struct {
	request okta.Request
	shape   oktasim.Shape
}

// readCall makes the call of an address as Okta would, or reads one.
func (o *explainOptions) readCall(stdin io.Reader) (explainedCall, error) {
	if o.byAddress {
		call, err := o.registration().Call()
		if err != nil {
			return explainedCall{}, fmt.Errorf("%w: is the address UTF-8?", err)
		}
		request, err := okta.Decode(call.Body, o.attributes)
		if err != nil {
			return explainedCall{}, fmt.Errorf("not a call that Okta could make: %w", err)
		}
		request.Source = o.source // not one that is made up, which a policy might name
		return explainedCall{request, call.Shape}, nil
	}
	name := o.request
	var body []byte
	var err error
	if name == "-" {
		name = "stdin"
		body, err = io.ReadAll(io.LimitReader(stdin, okta.MaxBody+1))
	} else {
		body, err = readUpTo(name, okta.MaxBody+1)
	}
	if err != nil {
		return explainedCall{}, fmt.Errorf("read the call: %w", err)
	}
	request, err := okta.Decode(body, o.attributes)
	if err != nil {
		return explainedCall{}, fmt.Errorf("%s: %w: the hook does not read this as JSON and answers with an error status, so that "+
			"Okta denies with a text of its own", name, err)
	}
	shape := oktasim.SignUp
	if call, err := oktasim.ParseCall(body); err == nil { // a body of a strange shape is a sign-up to Okta's texts
		shape = call.Shape
	}
	if o.source != "" {
		request.Source = o.source
	}
	return explainedCall{request, shape}, nil
}

// readUpTo reads at most so many bytes of a file.
func readUpTo(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(file, most))
	return body, errors.Join(err, file.Close())
}

// registration returns what the person typed into the form.
func (o *explainOptions) registration() oktasim.Registration {
	typed := map[string]any{"email": o.address}
	if len(o.attributes) > 0 && !slices.Contains([]string{"email", "login"}, o.attributes[0]) {
		typed[o.attributes[0]] = o.address // the attribute that this org has for the address
	}
	if o.shape == shapeProgressive {
		if o.login != "" {
			typed["login"] = o.login
		}
		return oktasim.Registration{Shape: oktasim.ProgressiveProfile, Update: typed}
	}
	typed["login"] = cmp.Or(o.login, o.address)
	shape := oktasim.SignUp
	if o.shape == shapeClassic {
		shape = oktasim.ClassicSignUp
	}
	return oktasim.Registration{Shape: shape, Profile: typed}
}
