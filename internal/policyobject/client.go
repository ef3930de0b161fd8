package policyobject

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// ClientConfig returns a copy of config for all clients of an API server in the operator. It does not log the server's
// warnings, since they quote values of a policy and so local parts of addresses. It does not limit requests: the API
// server does (API priority and fairness), and client-go's limit of five a second would delay the status of a thousand
// policies.
func ClientConfig(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.WarningHandler = nil
	config.WarningHandlerWithContext = rest.NoWarnings{}
	return config
}

// Refusal is an error answer of an API server, reduced to code and reason: the message may quote a policy.
type Refusal struct {
	code   int32
	reason metav1.StatusReason
}

// Error returns the code and the reason in words.
func (r Refusal) Error() string {
	return fmt.Sprintf("the API server answered %d, reason %q", r.code, r.reason)
}

// Forbidden reports whether the code is 403, which only a changed Role fixes.
func (r Refusal) Forbidden() bool { return r.code == http.StatusForbidden }

// Unquoted returns a Refusal for an error answer of an API server, and other errors unchanged.
func Unquoted(err error) error {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return Refusal{status.ErrStatus.Code, status.ErrStatus.Reason}
	}
	return err
}
