package main

import (
	"errors"
	"fmt"
	"net"

	"registrationpolicy.dev/operator/internal/usage"
)

// listeners are the sockets of the operator. They are bound before anything else starts, so that the operator exits at
// once if a port is in use. The socket of the hook starts to listen later, see [operator.serveHook].
type listeners struct {
	hook           *boundSocket
	probe, metrics net.Listener
}

func listen(o *options) (*listeners, error) {
	var l listeners
	var err error
	if l.hook, err = bindSocket(o.hookAddress); err != nil {
		return nil, fmt.Errorf("--hook-bind-address: %w", usage.Listen(o.hookAddress, err))
	}
	for _, bind := range []struct {
		flag, address string
		listener      *net.Listener
	}{
		{"probe-bind-address", o.probeAddress, &l.probe},
		{"metrics-bind-address", o.metricsAddress, &l.metrics},
	} {
		listener, err := net.Listen("tcp", bind.address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--%s: %w", bind.flag, usage.Listen(bind.address, err)), l.Close())
		}
		*bind.listener = listener
	}
	return &l, nil
}

// Close closes all sockets.
func (l *listeners) Close() error {
	errs := []error{l.hook.Close()}
	for _, listener := range []net.Listener{l.probe, l.metrics} {
		if listener != nil {
			errs = append(errs, listener.Close())
		}
	}
	return errors.Join(errs...)
}
