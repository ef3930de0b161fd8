package listsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/rules"
)

// NewClient returns a client for a Syncer. It never asks what kinds the cluster has: a Role cannot give that right.
func NewClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, eventsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme, Mapper: policyobject.Mapper()})
}

// configMaps are the ConfigMaps of a list's namespace, as far as they were read.
type configMaps struct {
	kube      client.Client
	namespace string
	read      map[string]*corev1.ConfigMap // nil: not there
	err       error                        // the first that was not "not found"
}

func newConfigMaps(kube client.Client, namespace string) *configMaps {
	return &configMaps{kube: kube, namespace: namespace, read: map[string]*corev1.ConfigMap{}}
}

// get returns a ConfigMap, from the API server the first time.
func (m *configMaps) get(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	if m.kube == nil {
		return nil, nil
	}
	if found, known := m.read[name]; known {
		return found, nil
	}
	found := &corev1.ConfigMap{}
	err := m.kube.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		found = nil
	case err != nil:
		return nil, fault("read ConfigMap "+name, err)
	}
	m.read[name] = found
	return found, nil
}

// reader returns get as the format wants it; the first error is kept in m.err.
func (m *configMaps) reader(ctx context.Context) func(string) (*corev1.ConfigMap, bool) {
	return func(name string) (*corev1.ConfigMap, bool) {
		found, err := m.get(ctx, name)
		m.err = errors.Join(m.err, err)
		return found, found != nil
	}
}

// ErrConflict is the error of a write that somebody else's came before.
var ErrConflict = errors.New("somebody else wrote the list at the same time: look at it, and run this again")

// fault says what an API server did not do. What it quotes of an object is left out: entries may be addresses.
func fault(doing string, err error) error {
	switch reason := apierrors.ReasonForError(err); {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%s: %w", doing, ErrConflict)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: you may not: see the Role in config/list-sync for the rights that this needs", doing)
	case reason != "":
		return fmt.Errorf("%s: the API server answers %s", doing, reason)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// readPolicies returns the policies of a namespace, by name.
func readPolicies(ctx context.Context, kube client.Client, namespace string) ([]unstructured.Unstructured, error) {
	if kube == nil {
		return nil, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyobject.Kind + "List"))
	if err := kube.List(ctx, list, client.InNamespace(namespace)); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, errors.New("the cluster does not know RegistrationPolicies, which say what must not be denied: " +
				"install the CustomResourceDefinition first (kubectl apply -k config/crd)")
		}
		return nil, fault("list the policies of namespace "+namespace, err)
	}
	slices.SortFunc(list.Items, func(a, b unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return list.Items, nil
}

// allowedByName returns what policies allow by name, by policy and path.
func allowedByName(policies []unstructured.Unstructured) []named {
	var all []named
	for i := range policies {
		policy := &policies[i]
		for _, field := range []string{"domains", "publicSuffixes", "addresses"} {
			// Of a policy that is not understood, what can be read is protected all the same.
			entries, _, _ := unstructured.NestedSlice(policy.Object, "spec", "allow", field)
			for at, entry := range entries {
				text, _ := entry.(string)
				path := fmt.Sprintf("spec.allow.%s[%d]", field, at)
				// The reading of a list, for one entry: it knows every spelling that a policy may have. "*" is no name.
				for canonical := range rules.CompileList([]byte(text)).All() {
					all = append(all, named{canonical, policy.GetNamespace() + "/" + policy.GetName(), path})
				}
			}
		}
	}
	return all
}

// ours says whether a ConfigMap was made by this package.
func ours(object *corev1.ConfigMap) bool { return object.Labels[labelManagedBy] == managedBy }

const (
	// labelManagedBy is the recommended label of Kubernetes for what keeps an object; managedBy is what we put there.
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "regpol"
)
