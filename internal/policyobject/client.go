package policyobject

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// Refusal is an error that an API server has answered, as code and reason. Its message is left out: it may quote a policy.
type Refusal struct {
	code   int32
	reason metav1.StatusReason
}

// Error says what was answered.
func (r Refusal) Error() string { return fmt.Sprintf("answered %d, reason %q", r.code, r.reason) }

// Forbidden reports whether it is a 403: only a changed Role helps.
func (r Refusal) Forbidden() bool { return r.code == http.StatusForbidden }

// Unquoted returns a Refusal for an error that an API server has answered, and other errors unchanged.
func Unquoted(err error) error {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return Refusal{status.ErrStatus.Code, status.ErrStatus.Reason}
	}
	return err
}
