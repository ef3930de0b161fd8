package policyobject

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// ClientConfig returns a copy of config for all clients of the API server in the operator. A client with this config
// logs no warning of the API server: a warning quotes values of a policy, which can hold local parts of addresses. It
// does not limit its requests: the API server does (API priority and fairness), and client-go's default of five a
// second would delay the statuses of a thousand policies.
func ClientConfig(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.WarningHandler = nil
	config.WarningHandlerWithContext = rest.NoWarnings{}
	return config
}

// Refusal is an error response of the API server, without its message: the message may quote a policy.
type Refusal struct {
	code   int32
	reason metav1.StatusReason
}

// Error returns the HTTP status code and the reason in a sentence.
func (r Refusal) Error() string {
	return fmt.Sprintf("the API server answered %d, reason %q", r.code, r.reason)
}

// Forbidden reports whether the status code is 403: the operator lacks a right, which only a change of RBAC gives.
func (r Refusal) Forbidden() bool { return r.code == http.StatusForbidden }

// Unquoted returns a [Refusal] for an error response of the API server. It returns other errors unchanged.
func Unquoted(err error) error {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return Refusal{status.ErrStatus.Code, status.ErrStatus.Reason}
	}
	return err
}
