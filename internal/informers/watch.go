package informers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
)

// Set has two informers for each namespace: one for policies, one for the metadata of ConfigMaps that hold lists. Each
// namespace has its own, so that an unreadable namespace does not affect the others.
//
// Policies are cached as unstructured objects: a typed informer would stop at the first object that cannot be decoded.
// The contents of ConfigMaps are not cached. They are read when a policy names the list.
type Set struct {
	tracker    *freshness.Tracker
	namespaces map[string]watchedNamespace
	lister     lister
	content    client.Reader // reads single objects from the API server
}

// watchedNamespace has the informers of one namespace.
type watchedNamespace struct {
	policies, lists toolscache.SharedIndexInformer
	specs           *specCache
}

// New returns a Set of informers for the namespaces of tracker. Call Start to run them. content must read from the API
// server, not from a cache. limits are the memory limits of namespaces. New fails only if a client for config cannot be
// set up.
func New(config *rest.Config, content client.Reader, tracker *freshness.Tracker, limits budget.Limits) (*Set, error) {
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("set up a client: %w", err)
	}
	partial, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("set up a client: %w", err)
	}
	lister, err := newLister(config)
	if err != nil {
		return nil, err
	}
	w := &Set{tracker: tracker, namespaces: map[string]watchedNamespace{}, lister: lister, content: content}
	for _, namespace := range tracker.Namespaces() {
		specs := &specCache{limit: limits[namespace]}
		policies, err := tracker.NewInformer(namespace, freshness.Policies, &toolscache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return lister.policies(ctx, namespace, options, specs)
			},
			WatchFuncWithContext: objects.Resource(policyobject.Resource).Namespace(namespace).Watch,
		}, policyobject.New(), specs.compact)
		if err != nil {
			return nil, err
		}
		lists, err := tracker.NewInformer(namespace, freshness.Lists, &toolscache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return lister.metadata(ctx, configMapResource, namespace, selected(options))
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return partial.Resource(configMapResource).Namespace(namespace).Watch(ctx, selected(options))
			},
		}, &metav1.PartialObjectMetadata{}, dropUnread)
		if err != nil {
			return nil, err
		}
		w.namespaces[namespace] = watchedNamespace{policies, lists, specs}
	}
	return w, nil
}

// selected restricts options to the ConfigMaps that hold lists.
func selected(options metav1.ListOptions) metav1.ListOptions {
	options.LabelSelector = listSelector
	return options
}

var (
	configMapResource = corev1.SchemeGroupVersion.WithResource("configmaps")
	listSelector      = labels.SelectorFromSet(listconfigmap.Labels()).String()
)

// Start runs all informers until ctx ends, and returns nil.
func (w *Set) Start(ctx context.Context) error {
	var running sync.WaitGroup
	for _, watched := range w.namespaces {
		for _, informer := range []toolscache.SharedIndexInformer{watched.policies, watched.lists} {
			running.Go(func() { informer.RunWithContext(ctx) })
		}
	}
	running.Wait()
	return nil
}

// NeedLeaderElection returns false: every replica watches.
func (*Set) NeedLeaderElection() bool { return false }

// ListMetadata lists the metadata of all objects of a kind in a namespace, from the newest state of etcd: the API
// server reads from there because the request has no resourceVersion.
func (w *Set) ListMetadata(ctx context.Context, namespace string, kind freshness.Kind) (*metav1.PartialObjectMetadataList, error) {
	if kind == freshness.Policies {
		return w.lister.metadata(ctx, policyobject.Resource, namespace, metav1.ListOptions{})
	}
	return w.lister.metadata(ctx, configMapResource, namespace, selected(metav1.ListOptions{}))
}

// Policies returns the cached policies of a namespace, in any order. The objects are shared and must not be changed.
// When a policy changes, the cache replaces its object by a new one, so that callers can recognise the change by the
// pointer.
func (w *Set) Policies(namespace string) []*unstructured.Unstructured {
	watched, found := w.namespaces[namespace]
	if !found {
		return nil
	}
	cached := watched.policies.GetStore().List()
	policies := make([]*unstructured.Unstructured, 0, len(cached))
	for _, object := range cached {
		if policy, ok := object.(*unstructured.Unstructured); ok {
			policies = append(policies, policy)
		}
	}
	return policies
}

// AllPolicies returns the cached policies of all namespaces, sorted by namespace and name. The objects are shared and
// must not be changed.
func (w *Set) AllPolicies() []*unstructured.Unstructured {
	var policies []*unstructured.Unstructured
	for _, namespace := range slices.Sorted(maps.Keys(w.namespaces)) {
		byName := map[string]*unstructured.Unstructured{} // GetName is too slow for each comparison of a sort
		for _, policy := range w.Policies(namespace) {
			byName[policy.GetName()] = policy
		}
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			policies = append(policies, byName[name])
		}
	}
	return policies
}

// Policy returns a cached policy; nil if there is none. The object is shared and must not be changed.
func (w *Set) Policy(name types.NamespacedName) *unstructured.Unstructured {
	watched, found := w.namespaces[name.Namespace]
	if !found {
		return nil
	}
	object, found, err := watched.policies.GetStore().GetByKey(name.String())
	if err != nil || !found {
		return nil
	}
	policy, _ := object.(*unstructured.Unstructured)
	return policy
}

// RecountSpecs updates the count of how much memory the cached specs of a namespace take. Without it, deleted and
// replaced specs would still count, and new ones would no longer be cached. policies must be all policies of the
// namespace. RecountSpecs does nothing while at least half of the memory limit is left, because it must look at every
// policy.
func (w *Set) RecountSpecs(namespace string, policies []*unstructured.Unstructured) {
	w.namespaces[namespace].specs.recount(policies)
}

// ReadPolicy returns a cached policy with its decoded spec. If the spec is not cached, ReadPolicy reads the policy from
// the API server. It fails with [publish.ErrChanged] if that policy has another spec than the cached one or was
// deleted: the watch has not delivered the change yet.
func (w *Set) ReadPolicy(ctx context.Context, policy *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if SpecHash(policy) == "" || hasSpec(policy) {
		return WithSpec(policy)
	}
	name := policyobject.NameOf(policy)
	stored := policyobject.New()
	switch err := w.content.Get(ctx, name, stored); {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("read the policy %s: %w", name, publish.ErrChanged)
	case err != nil:
		return nil, fmt.Errorf("read the policy %s: %w", name, policyobject.Unquoted(err))
	}
	cached := &unstructured.Unstructured{Object: maps.Clone(stored.Object)}
	if err := Compact(cached); err != nil {
		return nil, err
	}
	if cached.GetUID() != policy.GetUID() || SpecHash(cached) != SpecHash(policy) {
		return nil, fmt.Errorf("read the policy %s: %w", name, publish.ErrChanged)
	}
	return stored, nil
}

// Version returns the version of a ConfigMap that holds a list or a part of one; the zero Version if there is none.
func (w *Set) Version(name types.NamespacedName) publish.Version {
	watched, found := w.namespaces[name.Namespace]
	if !found {
		return publish.Version{}
	}
	object, found, err := watched.lists.GetStore().GetByKey(name.String())
	if accessor, ok := object.(metav1.Object); err == nil && found && ok {
		return publish.Version{UID: accessor.GetUID(), ResourceVersion: accessor.GetResourceVersion()}
	}
	return publish.Version{}
}

// Get reads a ConfigMap from the API server. It fails with [publish.ErrChanged] if the ConfigMap has another version
// than the given one, or does not exist.
func (w *Set) Get(ctx context.Context, name types.NamespacedName, version publish.Version) (*corev1.ConfigMap, error) {
	object, err := w.read(ctx, name)
	if err == nil && (object == nil || publish.Version{UID: object.UID, ResourceVersion: object.ResourceVersion} != version) {
		return nil, fmt.Errorf("read the ConfigMap %s: %w", name, publish.ErrChanged)
	}
	return object, err
}

// Uncached provides the newest version of each ConfigMap, even if the watch has not delivered it yet. [Set.Get] fails
// in this case. If an author changed a list faster than the watch delivers changes, every build of the namespace with
// [Set.Get] would fail.
type Uncached struct{ *Set }

// Get reads the newest version of a ConfigMap from the API server; nil if there is none.
func (n Uncached) Get(ctx context.Context, name types.NamespacedName, _ publish.Version) (*corev1.ConfigMap, error) {
	return n.read(ctx, name)
}

// read reads a ConfigMap from the API server; nil if there is none.
func (w *Set) read(ctx context.Context, name types.NamespacedName) (*corev1.ConfigMap, error) {
	object := &corev1.ConfigMap{}
	err := w.content.Get(ctx, name, object)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // nil: it was deleted, which is not an error
	case err != nil:
		return nil, fmt.Errorf("read the ConfigMap %s: %w", name, policyobject.Unquoted(err))
	}
	object.ManagedFields = nil
	return object, nil
}

// OnPolicies calls a handler for each policy of all namespaces and for each later change, until end is called.
func (w *Set) OnPolicies(handler toolscache.ResourceEventHandler) (end func() error, _ error) {
	return w.on(func(watched watchedNamespace) toolscache.SharedIndexInformer { return watched.policies }, handler)
}

// OnLists calls a handler for the metadata of each ConfigMap of all namespaces that holds a list, and for each later
// change, until end is called.
func (w *Set) OnLists(handler toolscache.ResourceEventHandler) (end func() error, _ error) {
	return w.on(func(watched watchedNamespace) toolscache.SharedIndexInformer { return watched.lists }, handler)
}

// on adds a handler to one informer of each namespace, until end is called.
func (w *Set) on(
	informerOf func(watchedNamespace) toolscache.SharedIndexInformer, handler toolscache.ResourceEventHandler,
) (end func() error, err error) {
	var ends []func() error
	end = func() error {
		var errs []error
		for _, end := range ends {
			errs = append(errs, end())
		}
		return errors.Join(errs...)
	}
	for _, watched := range w.namespaces {
		informer := informerOf(watched)
		registration, err := informer.AddEventHandler(handler)
		if err != nil {
			return nil, errors.Join(err, end())
		}
		ends = append(ends, func() error { return informer.RemoveEventHandler(registration) })
	}
	return end, nil
}

// HasSynced returns functions that report whether the informers of a namespace have received their initial objects, for
// toolscache.WaitForCacheSync.
func (w *Set) HasSynced(namespace string) []toolscache.InformerSynced {
	watched := w.namespaces[namespace]
	return []toolscache.InformerSynced{watched.policies.HasSynced, watched.lists.HasSynced}
}

// dropUnread reduces an object's metadata, before it is cached, to the fields that this operator reads. Authors control
// the size of the other fields, such as annotations.
func dropUnread(object any) (any, error) {
	read, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // a DeletedFinalStateUnknown, whose object is already reduced
	}
	kept := metav1.ObjectMeta{
		Namespace: read.GetNamespace(), Name: read.GetName(), UID: read.GetUID(),
		ResourceVersion: read.GetResourceVersion(), Generation: read.GetGeneration(),
	}
	switch object := object.(type) {
	case *metav1.PartialObjectMetadata:
		object.ObjectMeta = kept
	case *unstructured.Unstructured:
		delete(object.Object, "metadata")
		object.SetNamespace(kept.Namespace)
		object.SetName(kept.Name)
		object.SetUID(kept.UID)
		object.SetResourceVersion(kept.ResourceVersion)
		object.SetGeneration(kept.Generation)
	}
	return object, nil
}
