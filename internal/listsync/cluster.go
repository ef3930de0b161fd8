package listsync

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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
	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/internal/neterror"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/rules"
)

// NewClient returns a client for a Syncer. The client does not use API discovery, because a Role cannot grant the right
// to it.
func NewClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, eventsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme, Mapper: policyobject.Mapper()})
}

// configMaps reads ConfigMaps of a namespace, and caches them.
type configMaps struct {
	kube      client.Client // nil without a cluster: every ConfigMap then counts as missing
	namespace string
	read      map[string]*corev1.ConfigMap // nil for a ConfigMap that does not exist
	err       error                        // joins the errors of reads through the function that reader returns
}

func newConfigMaps(kube client.Client, namespace string) *configMaps {
	return &configMaps{kube: kube, namespace: namespace, read: map[string]*corev1.ConfigMap{}}
}

// get returns a ConfigMap, or nil if it does not exist.
func (m *configMaps) get(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	if m.kube == nil {
		return nil, nil
	}
	found, err := m.getOnce(ctx, name)
	if err == nil {
		m.read[name] = found
	}
	return found, err
}

// getOnce does what get does, but does not cache what it reads, so that the lists of a whole namespace are not held in
// memory together.
func (m *configMaps) getOnce(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	if found, known := m.read[name]; known {
		return found, nil
	}
	found := &corev1.ConfigMap{}
	err := m.kube.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, apiError("read ConfigMap "+name, err)
	}
	return found, nil
}

// reader returns get in the form that listconfigmap.Stream takes. Its errors are collected in m.err.
func (m *configMaps) reader(ctx context.Context) func(string) (*corev1.ConfigMap, bool) {
	return func(name string) (*corev1.ConfigMap, bool) {
		found, err := m.get(ctx, name)
		m.err = errors.Join(m.err, err)
		return found, found != nil
	}
}

// ErrConflict reports that another client wrote one of the ConfigMaps during the run.
var ErrConflict = errors.New("somebody else wrote the list at the same time: look at it, and run this again")

// apiError describes an error of a request to the API server. It omits the server's message, which may quote entries of
// the list, and so addresses.
func apiError(doing string, err error) error {
	switch reason := apierrors.ReasonForError(err); {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%s: %w", doing, ErrConflict)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: you do not have the right: see the Role in config/list-sync for the rights that this needs", doing)
	case reason != "":
		return fmt.Errorf("%s: the API server answers %s", doing, reason)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: the API server did not answer in time: run this again", doing)
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s: %w", doing, neterror.Describe("the API server", failed, neterror.Fix{
			Address:   "check --kubeconfig and --context",
			Authority: "check the certificate-authority of the kubeconfig",
		}))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// readPolicies returns the policies of a namespace, sorted by name.
func readPolicies(ctx context.Context, kube client.Client, namespace string) ([]unstructured.Unstructured, error) {
	if kube == nil {
		return nil, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyobject.Kind + "List"))
	if err := kube.List(ctx, list, client.InNamespace(namespace)); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, errors.New("the cluster does not know RegistrationPolicies, which say what a list must not deny: " +
				"install the CustomResourceDefinition first (kubectl apply -k config/crd)")
		}
		return nil, apiError("list the policies of namespace "+namespace, err)
	}
	slices.SortFunc(list.Items, func(a, b unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return list.Items, nil
}

// allowedByName returns the domains, public suffixes and addresses in spec.allow of all policies. It does not return
// the entries of the lists in spec.allow.lists.
func allowedByName(policies []unstructured.Unstructured) []listguard.AllowedEntry {
	var all []listguard.AllowedEntry
	for i := range policies {
		policy := &policies[i]
		for _, field := range []string{"domains", "publicSuffixes", "addresses"} {
			// Fields and entries with a wrong type are skipped. A policy that has one allows nothing until its author
			// corrects it. Its other entries are returned, so that the list does not deny them after the correction.
			entries, _, _ := unstructured.NestedSlice(policy.Object, "spec", "allow", field)
			for at, entry := range entries {
				text, _ := entry.(string)
				path := fmt.Sprintf("spec.allow.%s[%d]", field, at)
				// CompileList converts an entry to its canonical form, as the operator does. It skips "*": that entry
				// allows everybody, and so names no domain or address that a list could deny by mistake.
				for canonical := range rules.CompileList([]byte(text)).All() {
					all = append(all, listguard.AllowedEntry{
						Entry: canonical, Policy: policy.GetNamespace() + "/" + policy.GetName(), Path: path,
					})
				}
			}
		}
	}
	return all
}

// managedByUs reports whether this package made a ConfigMap.
func managedByUs(object *corev1.ConfigMap) bool { return object.Labels[labelManagedBy] == managedBy }

const (
	// labelManagedBy is a recommended label of Kubernetes. Its value names the tool that manages an object.
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "regpol"
)
