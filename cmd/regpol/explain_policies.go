package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/rules"
)

// listTimeout is how long an API server may take for the policies of a namespace: long for a person who waits.
const listTimeout = 15 * time.Second

// foundPolicies are the policies to explain by.
type foundPolicies struct {
	all    []policyfile.ReadPolicy // by name
	where  string                  // where policies were looked for, for the warning that there are none
	others []string                // objects that are no policies, each with its place
}

func (f *foundPolicies) rules() []rules.Policy {
	policies := make([]rules.Policy, len(f.all))
	for i := range f.all {
		policies[i] = f.all[i].Policy
	}
	return policies
}

func (o *explainOptions) readPolicies(ctx context.Context, stdin io.Reader) (*foundPolicies, error) {
	reader, err := policyfile.NewOffline()
	if err != nil {
		return nil, err
	}
	found := &foundPolicies{}
	if len(o.policies) > 0 {
		found.where = strings.Join(o.policies, ", ")
		if found.all, err = reader.ReadFiles(ctx, o.policies, stdin); err != nil {
			return nil, err
		}
		found.others = reader.Others()
	} else if err := o.readCluster(ctx, reader, found); err != nil {
		return nil, err
	}
	slices.SortFunc(found.all, func(a, b policyfile.ReadPolicy) int { return a.Compare(b.PolicyName) })
	return found, nil
}

// readCluster lists policies as the operator does.
func (o *explainOptions) readCluster(ctx context.Context, reader *policyfile.Offline, found *foundPolicies) error {
	config, namespace, err := o.cluster.load(
		errors.New("no policies: give files with --policies, or a cluster with --kubeconfig or KUBECONFIG"))
	if err != nil {
		return err
	}
	namespaces := o.watched
	if len(namespaces) == 0 {
		namespaces = []string{namespace}
	}
	namespaces = slices.Compact(slices.Sorted(slices.Values(namespaces)))
	found.where = "namespace " + strings.Join(namespaces, ", ")
	cluster, err := client.New(config, client.Options{Mapper: policyobject.Mapper()})
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	for _, namespace := range namespaces {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicyList"))
		if err := cluster.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return listError(err, "registrationpolicies."+v1alpha1.GroupVersion.Group, namespace, config.Host)
		}
		policies, err := reader.ReadObjects(ctx, list.Items, func(ctx context.Context) ([]corev1.ConfigMap, error) {
			var lists corev1.ConfigMapList
			err := cluster.List(ctx, &lists, client.InNamespace(namespace), client.MatchingLabels(listconfigmap.Labels()))
			return lists.Items, err
		})
		if err != nil {
			return listError(err, "configmaps", namespace, config.Host)
		}
		found.all = append(found.all, policies...)
	}
	return nil
}

// listError says what to do about an API server that does not list policies, or the ConfigMaps with their lists.
func listError(err error, resource, namespace, host string) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the cluster at %s does not know RegistrationPolicies: install the CustomResourceDefinition "+
			"(kubectl apply -k config/crd), or choose another --context", host)
	case apierrors.IsForbidden(err) && resource == "configmaps":
		return fmt.Errorf("you may not list configmaps in namespace %s, and its policies use lists that are kept there: "+
			"nothing is explained without them; ask for the right to list configmaps", namespace)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("you may not list %s in namespace %s: ask for the viewer role of policies there, "+
			"or choose another --context or --namespace", resource, namespace)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server at %s does not know you: log in anew, or choose another --context", host)
	case apierrors.ReasonForError(err) != "":
		return fmt.Errorf("the API server at %s does not list the %s of namespace %s: %w", host, resource, namespace, err)
	default:
		return fmt.Errorf("the API server at %s cannot be reached: %w; look at --kubeconfig and --context", host, err)
	}
}
