package hookcheck

import (
	"context"
	"crypto/rand"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// probe checks that the hook authenticates its caller: it calls the hook once without a credential and once with a wrong
// one, and adds a fault if the hook answers 2xx. If the examined call was not answered 2xx itself, probe does nothing. It
// fails only if ctx ends.
func (o *Options) probe(ctx context.Context, report *Report, call oktasim.Call) error {
	if answered := report.Result.Err == nil && report.Result.Status/100 == 2; !answered {
		return nil
	}
	if o.Call.Credential == "" {
		report.add(Unauthenticated, "status %d without a credential", report.Result.Status)
		return nil
	}
	for _, with := range []struct{ what, credential string }{
		{"without a credential", ""},
		{"with a wrong credential", "Basic regpol-wrong-on-purpose-" + rand.Text()},
	} {
		options := o.Call
		options.Credential, options.Attempts = with.credential, 1
		hook, err := oktasim.New(options)
		if err != nil {
			return err
		}
		result, err := hook.Post(ctx, call)
		hook.Close()
		if err != nil {
			return err
		}
		if result.Err == nil && result.Status/100 == 2 {
			report.add(Unauthenticated, "status %d %s", result.Status, with.what)
			return nil
		}
	}
	return nil
}
