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

// Refusal is an answer of an API server that is none, without what it quotes of a policy.
type Refusal struct {
	code   int32
	reason metav1.StatusReason
}

// Error says what was answered.
func (r Refusal) Error() string { return fmt.Sprintf("answered %d, reason %q", r.code, r.reason) }

// Forbidden tells whether it takes somebody who changes a Role.
func (r Refusal) Forbidden() bool { return r.code == http.StatusForbidden }

// Unquoted returns err without what an API server quotes of a policy: a refusal, if it is one.
func Unquoted(err error) error {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return Refusal{status.ErrStatus.Code, status.ErrStatus.Reason}
	}
	return err
}
