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
	// unreachableInterval is how long to wait before an API server that does not answer is asked again, up to twice that.
	unreachableInterval = time.Second
	// retryLimit is how long an API server that restarts may take.
	retryLimit = 30 * time.Second
	// refusedInterval is how long to wait at first before an API server that refuses is asked again, up to twice that; each further
	// wait is twice as long, up to refusedIntervalMax. A Role that is made together with the operator is there a moment later.
	refusedInterval    = 500 * time.Millisecond
	refusedIntervalMax = 4 * time.Second
)

// retryUntilAllowed asks an API server again and again while it does not answer, or refuses what only somebody else can change: a
// missing right, or a missing CustomResourceDefinition. Informers do so too, but wait up to a minute, and do not tell the two apart.
// Any other answer is left to the informer at once; an inner error of the API server once it has lasted.
func retryUntilAllowed[Answer any](ctx context.Context, l trackedListWatch, ask func() (Answer, error)) (Answer, error) {
	began, hasLogged, refusedWait := time.Now(), false, refusedInterval
	for {
		answer, err := ask()
		var pause time.Duration
		switch {
		case err == nil:
			return answer, nil
		case isRefusal(err):
			l.tracker.refused(l.watch, describe(err, l.watch.id))
			pause, refusedWait = refusedWait, min(2*refusedWait, refusedIntervalMax)
		case !isUnreachable(err):
			if !isForInformer(err) {
				l.tracker.refused(l.watch, describe(err, l.watch.id))
			}
			return answer, err
		default:
			pause = unreachableInterval
			if time.Since(began) <= retryLimit {
				break
			}
			if _, answered := errors.AsType[*apierrors.StatusError](err); answered {
				l.tracker.refused(l.watch, describe(err, l.watch.id))
				return answer, err
			}
			if !isConnection(err) {
				l.tracker.refused(l.watch, describe(err, l.watch.id))
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

// isRefusal reports whether the API server answers, and will not let this be read until somebody changes a Role or a definition.
func isRefusal(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) }

// isForInformer reports whether an answer is part of how informers work: a version that is gone, or a kind of request that this API
// server does not know.
func isForInformer(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// isUnreachable reports whether an error is the lack of an answer: nothing is there, it cannot reach its etcd, or it does not know
// who this replica is. None of these has to do with the namespace.
func isUnreachable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, answered := errors.AsType[*apierrors.StatusError](err); !answered {
		return true
	}
	if apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) {
		return false // after an etcd restore informers ask for what there is
	}
	return apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsInternalError(err) || apierrors.IsUnauthorized(err)
}

// isConnection reports whether an error is about the connection, not about what came by it.
func isConnection(err error) bool {
	_, connection := errors.AsType[net.Error](err)
	return connection || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// describe returns an error for people: what is wrong, and the fix where there is one. It quotes nothing of an answer, which may hold
// addresses.
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
