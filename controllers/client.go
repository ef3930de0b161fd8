package controllers

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// ClientConfig returns a copy of config for everything in the operator that speaks to an API server. What it answers is not
// logged as it is: its warnings quote values of a policy, and so local parts. And it is the API server that says when there are
// too many calls (API priority and fairness): client-go's own five a second would hold up the status of a thousand policies.
func ClientConfig(config *rest.Config) *rest.Config {
	quiet := rest.CopyConfig(config)
	quiet.QPS = -1
	quiet.WarningHandler = nil
	quiet.WarningHandlerWithContext = rest.NoWarnings{}
	return quiet
}

// unquoted returns err without what an API server quotes of a policy: of its refusals only the reason.
func unquoted(err error) error {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return fmt.Errorf("answered %d, reason %q", status.ErrStatus.Code, status.ErrStatus.Reason)
	}
	return err
}
