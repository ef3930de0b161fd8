package informers

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/rest"

	"registrationpolicy.dev/operator/internal/liststream"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// lister lists objects and decodes them one at a time. client-go would hold all objects of a list in full, which could
// take too much memory: authors control the size of each object, which may be up to 1.5 MB with its metadata.
type lister struct{ client rest.Interface }

func newLister(config *rest.Config) (lister, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // decodes the Status that describes an error
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return lister{}, fmt.Errorf("set up a client: %w", err)
	}
	return lister{client}, nil
}

// The Accept headers of requests, and the kinds of the answers.
const (
	acceptWhole    = runtime.ContentTypeJSON
	acceptMetadata = runtime.ContentTypeJSON + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	policyListKind = policyobject.Kind + "List"
	metadataKind   = "PartialObjectMetadataList"
)

// policies lists the policies of a namespace, in the form in which they are cached: see Compact.
func (l lister) policies(ctx context.Context, namespace string, options metav1.ListOptions, specs *specCache) (runtime.Object, error) {
	list := &unstructured.UnstructuredList{}
	version, err := l.list(ctx, policyobject.Resource, namespace, options, acceptWhole, policyListKind, func(item []byte) error {
		policy := &unstructured.Unstructured{}
		if err := utiljson.Unmarshal(item, &policy.Object); err != nil {
			return err
		}
		if _, err := specs.compact(policy); err != nil {
			return err
		}
		list.Items = append(list.Items, *policy)
		return nil
	})
	list.SetResourceVersion(version)
	return list, err
}

// metadata lists the metadata of all objects of a resource in a namespace, reduced to the fields that are cached.
func (l lister) metadata(
	ctx context.Context, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions,
) (*metav1.PartialObjectMetadataList, error) {
	list := &metav1.PartialObjectMetadataList{}
	version, err := l.list(ctx, resource, namespace, options, acceptMetadata, metadataKind, func(item []byte) error {
		object := metav1.PartialObjectMetadata{}
		if err := utiljson.Unmarshal(item, &object); err != nil {
			return err
		}
		_, err := dropUnread(&object)
		list.Items = append(list.Items, object)
		return err
	})
	list.ResourceVersion = version
	return list, err
}

// list calls take for each object of a list, and returns the resourceVersion of the list. item is the object as JSON,
// and must not be used after take returns. After an error, take may not have been called for all objects.
func (l lister) list(
	ctx context.Context, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions,
	accept, kind string, take func(item []byte) error,
) (version string, err error) {
	options.Limit, options.Continue = 0, ""
	prefix := "/apis/" + resource.Group
	if resource.Group == "" {
		prefix = "/api"
	}
	body, err := l.client.Get().AbsPath(prefix, resource.Version, "namespaces", namespace, resource.Resource).
		SpecificallyVersionedParams(&options, metav1.ParameterCodec, schema.GroupVersion{Version: "v1"}).
		SetHeader("Accept", accept).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	version, err = liststream.Read(body, kind, take)
	if err != nil {
		err = fmt.Errorf("read the list of %s in %s: %w", resource.Resource, namespace, err)
	}
	return version, err
}
