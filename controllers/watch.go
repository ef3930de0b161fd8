package controllers

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listobjects"
)

// untilSynced is how long a controller waits for its first list. controller-runtime gives up after two minutes and ends the
// process, which turns an API server that is away into a crash loop; this one waits, unready, for as long as it takes.
const untilSynced = 10 * 365 * 24 * time.Hour

// CacheOptions returns the options of the cache that policies of the namespaces are watched through. The metrics say how fresh it
// is.
//
// Policies are cached unstructured: a typed informer stops at the first object that does not decode, and with it every later
// change of any other. Of ConfigMaps only those that say that they hold a list are cached.
func CacheOptions(namespaces []string, metrics *Metrics) cache.Options {
	options := cache.Options{
		DefaultNamespaces: map[string]cache.Config{},
		NewInformer:       metrics.watches.newInformer,
	}
	options.ByObject = map[client.Object]cache.ByObject{&corev1.ConfigMap{}: {
		Label:                 labels.SelectorFromSet(ListLabels()),
		UnsafeDisableDeepCopy: new(true), // a list is big, and nobody changes it
	}}
	for _, namespace := range namespaces {
		options.DefaultNamespaces[namespace] = cache.Config{Transform: transformIn(namespace)}
	}
	return options
}

// ListLabels returns the labels of every ConfigMap that holds a list, or a part of one. Others are not read.
func ListLabels() labels.Set { return labels.Set{listobjects.Label: listobjects.LabelTrue} }

// Mapper returns the REST mapping of the kinds that the operator deals in, known without asking an API server, which may
// be away, or may not have the CustomResourceDefinition yet.
func Mapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{policyKind, policyKind + "List"} { // caches ask for both
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"ConfigMap", "ConfigMapList", "Pod"} {
		mapper.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"Lease", "LeaseList"} {
		mapper.Add(coordinationv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"EndpointSlice", "EndpointSliceList"} {
		mapper.Add(discoveryv1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	return mapper
}

const policyKind = "RegistrationPolicy"

func newPolicyObject() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyKind))
	return object
}

func newPolicyList() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyKind + "List"))
	return list
}

// dropUnread removes what nobody reads from an object before it is cached.
func dropUnread(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

// consistentFirstList asks etcd, not the API server's own cache, for the first list of an informer: a replica that starts
// must not begin with rules older than what another one has decided by. (A streamed first list is consistent as it is.)
type consistentFirstList struct {
	toolscache.ListerWatcherWithContext
}

func (c consistentFirstList) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	if options.ResourceVersion == "0" { // "any version will do"
		options.ResourceVersion = ""
		options.ResourceVersionMatch = ""
	}
	return c.ListerWatcherWithContext.ListWithContext(ctx, options)
}

// List and Watch complete the older interface, which informers take.
func (c consistentFirstList) List(options metav1.ListOptions) (runtime.Object, error) {
	return c.ListWithContext(context.Background(), options)
}

func (c consistentFirstList) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return c.WatchWithContext(context.Background(), options)
}
