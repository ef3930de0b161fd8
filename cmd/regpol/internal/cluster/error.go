package cluster

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ListError turns an error of the API server into a sentence with the fix. resource is what could not be listed:
// configmaps, or registrationpolicies with their API group.
func ListError(err error, resource, namespace, host string) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the cluster at %s does not know RegistrationPolicies: install the CustomResourceDefinition "+
			"(kubectl apply -k config/crd), or choose another --context", host)
	case apierrors.IsForbidden(err) && resource == "configmaps":
		return fmt.Errorf("you may not list configmaps in namespace %s, and its policies use lists that are kept there: "+
			"ask for the right to list configmaps", namespace)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("you may not list %s in namespace %s: ask for the viewer role of policies there, "+
			"or choose another --context or --namespace", resource, namespace)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server at %s rejects your credentials: log in again, or choose another --context", host)
	case apierrors.ReasonForError(err) != "":
		return fmt.Errorf("the API server at %s does not list the %s of namespace %s: %w", host, resource, namespace, err)
	default:
		return fmt.Errorf("the API server at %s cannot be reached: %w; look at --kubeconfig and --context", host, err)
	}
}
