package freshness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// unreachableInterval is the wait after a request that the API server did not answer; jitter may double it.
	unreachableInterval = time.Second
	// retryLimit is how long an API server may be unreachable before that counts as an error: a restart may take that
	// long.
	retryLimit = 30 * time.Second
	// refusedInterval is the first wait after the API server refused a request; jitter may double it. It is short
	// because at an installation the Role may be created a moment after the operator. Each further wait is twice as
	// long, up to refusedIntervalMax.
	refusedInterval    = 500 * time.Millisecond
	refusedIntervalMax = 4 * time.Second
)

// retryUntilAllowed repeats an informer's request while the API server is unreachable (isUnreachable) or refuses it
// (isRefusal). The informer would retry as well, but would wait up to a minute, and would not tell the two apart.
//
// Any other error is returned to the informer at once. A status that counts as unreachable, such as 500, is returned
// once it has lasted for retryLimit.
func retryUntilAllowed[Answer any](ctx context.Context, l trackedListWatch, ask func() (Answer, error)) (Answer, error) {
	began, hasLogged, refusedWait := time.Now(), false, refusedInterval
	for {
		answer, err := ask()
		var pause time.Duration
		switch {
		case err == nil:
			return answer, nil
		case isRefusal(err):
			l.tracker.setFault(l.watch, describe(err, l.watch.id))
			pause, refusedWait = refusedWait, min(2*refusedWait, refusedIntervalMax)
		case !isUnreachable(err):
			if !isForInformer(err) {
				l.tracker.setFault(l.watch, describe(err, l.watch.id))
			}
			return answer, err
		default:
			pause = unreachableInterval
			if time.Since(began) <= retryLimit {
				break
			}
			if _, answered := errors.AsType[*apierrors.StatusError](err); answered {
				l.tracker.setFault(l.watch, describe(err, l.watch.id))
				return answer, err
			}
			if !isConnection(err) {
				l.tracker.setFault(l.watch, describe(err, l.watch.id))
			}
			if !hasLogged {
				l.tracker.logger.Error(describe(err, l.watch.id), "The API server does not answer; the rules stay in force",
					"namespace", l.watch.id.namespace, "kind", string(l.watch.id.kind))
			}
			hasLogged = true
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(wait.Jitter(pause, 1)):
		}
	}
}

// isRefusal reports whether the API server has answered 403 or 404: permission or the CustomResourceDefinition is
// missing.
func isRefusal(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) }

// isForInformer reports whether an error is no fault of the namespace, since the informer handles it. Examples are 410
// for an expired resourceVersion, and 422 for a streamed list that an older API server does not support.
func isForInformer(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// isUnreachable reports whether an error means that the API server is unavailable: it cannot be reached, cannot reach
// its etcd, or cannot authenticate this replica. Such an error says nothing about the namespace.
func isUnreachable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, answered := errors.AsType[*apierrors.StatusError](err); !answered {
		return true
	}
	if apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) {
		return false // after an etcd restore the requested version does not exist yet; the informer lists again
	}
	return apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsInternalError(err) || apierrors.IsUnauthorized(err)
}

// isConnection reports whether an error is about the connection, not about the content of an answer.
func isConnection(err error) bool {
	_, connection := errors.AsType[net.Error](err)
	return connection || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// describe returns an error for people: what is wrong, and the fix if there is one. It does not quote the API server's
// answer, which may contain people's email addresses.
func describe(err error, id watchID) error {
	resource := "registrationpolicies.registrationpolicy.dev"
	if id.kind == Lists {
		resource = "configmaps"
	}
	status, answered := errors.AsType[*apierrors.StatusError](err)
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("this operator may not list and watch %s in namespace %s: "+
			"give its ServiceAccount the Role and RoleBinding there, or do not watch the namespace", resource, id.namespace)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the API server does not serve %s: apply the CustomResourceDefinition", resource)
	case answered:
		return fmt.Errorf("the API server answers a list of %s in namespace %s with %d, reason %q",
			resource, id.namespace, status.ErrStatus.Code, status.ErrStatus.Reason)
	case isConnection(err):
		return err
	default:
		return fmt.Errorf("an answer that could not be read (%T)", err)
	}
}
