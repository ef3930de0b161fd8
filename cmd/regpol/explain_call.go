package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// explainedCall is the call to explain.
type explainedCall struct {
	request okta.Request
	shape   oktasim.Shape
}

// readCall returns the call that Okta would make for the address, or reads the call of -f.
func (o *explainOptions) readCall(stdin io.Reader) (explainedCall, error) {
	if o.hasAddress {
		call, err := o.registration(o.attributes).Call()
		if err != nil {
			return explainedCall{}, fmt.Errorf("%w: is the address UTF-8?", err)
		}
		request, err := okta.Decode(call.Body, o.attributes)
		if err != nil {
			return explainedCall{}, fmt.Errorf("not a call that Okta can make: %w", err)
		}
		request.Source = o.source // replaces the invented source, which a policy might name
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
		return explainedCall{}, fmt.Errorf("%s: %w: the hook answers such a call with an error status, and Okta denies with its own text",
			name, err)
	}
	shape := oktasim.SignUp
	if call, err := oktasim.ParseCall(body); err == nil { // any other body is shown as a sign-up
		shape = call.Shape
	}
	if o.source != "" {
		request.Source = o.source
	}
	return explainedCall{request, shape}, nil
}

// readUpTo reads at most limit bytes of a file.
func readUpTo(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(file, limit))
	return body, errors.Join(err, file.Close())
}
