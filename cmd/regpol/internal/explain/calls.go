package explain

import (
	"fmt"
	"io"

	"registrationpolicy.dev/operator/cmd/regpol/internal/explanation"
	"registrationpolicy.dev/operator/cmd/regpol/internal/input"
	"registrationpolicy.dev/operator/hookserver/okta"
)

// readCalls returns the calls that Okta would make for the addresses, or the one call of -f.
func (o *explainOptions) readCalls(stdin io.Reader) ([]explanation.Call, error) {
	if o.Request != "" {
		call, err := o.readCall(stdin)
		return []explanation.Call{call}, err
	}
	addresses, err := o.readAddresses(stdin)
	if err != nil {
		return nil, err
	}
	calls := make([]explanation.Call, len(addresses))
	for i, address := range addresses {
		described := o.Flags
		described.Address, described.HasAddress = address, true
		if calls[i], err = explanation.CallFor(described.Registration(o.Attributes), address, o.Attributes); err != nil {
			return nil, err
		}
	}
	return calls, nil
}

// readCall reads the call of -f.
func (o *explainOptions) readCall(stdin io.Reader) (explanation.Call, error) {
	name := o.Request
	var body []byte
	var err error
	if name == "-" {
		name = "stdin"
		body, err = io.ReadAll(io.LimitReader(stdin, okta.MaxBody+1))
	} else {
		body, err = input.ReadUpTo(name, okta.MaxBody+1)
	}
	if err != nil {
		return explanation.Call{}, fmt.Errorf("read the call: %w", err)
	}
	return explanation.DecodeCall(name, body, o.Attributes, o.Source)
}
