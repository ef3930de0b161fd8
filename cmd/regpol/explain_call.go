package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// explainedCall is a call to explain.
type explainedCall struct {
	request okta.Request
	shape   oktasim.Shape
	address string // from the command line or --addresses; "" for a call of -f
}

// readCalls returns the calls that Okta would make for the addresses, or the one call of -f.
func (o *explainOptions) readCalls(stdin io.Reader) ([]explainedCall, error) {
	if o.request != "" {
		call, err := o.readCall(stdin)
		return []explainedCall{call}, err
	}
	addresses, err := o.readAddresses(stdin)
	if err != nil {
		return nil, err
	}
	calls := make([]explainedCall, len(addresses))
	for i, address := range addresses {
		if calls[i], err = o.callFor(address); err != nil {
			return nil, fmt.Errorf("%s: %w", quoteIfNeeded(address), err)
		}
	}
	return calls, nil
}

// callFor returns the call that Okta would make for an address.
func (o *explainOptions) callFor(address string) (explainedCall, error) {
	registration := o.registrationOptions
	registration.address, registration.hasAddress = address, true
	call, err := registration.registration(o.attributes).Call()
	if err != nil {
		return explainedCall{}, err
	}
	request, err := okta.Decode(call.Body, o.attributes)
	if err != nil {
		return explainedCall{}, fmt.Errorf("no call of Okta can have it: %s", malformedText(err))
	}
	request.Source = o.source // not the invented source of oktasim, which a policy could name
	return explainedCall{request, call.Shape, address}, nil
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

// readCall reads the call of -f.
func (o *explainOptions) readCall(stdin io.Reader) (explainedCall, error) {
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
	return o.decodeCall(name, body)
}

// decodeCall returns the call of a body as Okta posts it. name is where the body was read.
func (o *explainOptions) decodeCall(name string, body []byte) (explainedCall, error) {
	request, err := okta.Decode(body, o.attributes)
	if err != nil {
		return explainedCall{}, fmt.Errorf("%s is not a call from Okta: %s; the hook answers it with an error status, and Okta denies with a "+
			"text of its own", name, malformedText(err))
	}
	shape := oktasim.SignUp
	if call, err := oktasim.ParseCall(body); err == nil { // a body without Okta's objects is shown as a sign-up
		shape = call.Shape
	}
	if o.source != "" {
		request.Source = o.source
	}
	return explainedCall{request: request, shape: shape}, nil
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
