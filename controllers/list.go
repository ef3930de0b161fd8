package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/rest"
)

// lister reads lists one object at a time. A list in pages of so many objects would take as much memory as the objects are large, and
// it is the tenants who say how large they are: up to 1.5 MB each, with what is written in their metadata.
type lister struct{ client rest.Interface }

func newLister(config *rest.Config) (lister, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // for the Status of an error
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return lister{}, fmt.Errorf("set up a client: %w", err)
	}
	return lister{client}, nil
}

// What an API server is asked for, and the kind of what it answers.
const (
	acceptWhole    = runtime.ContentTypeJSON
	acceptMetadata = runtime.ContentTypeJSON + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	policyListKind = policyKind + "List"
	metadataKind   = "PartialObjectMetadataList"
)

// policies returns the policies of a namespace in the form in which they are cached.
func (l lister) policies(ctx context.Context, namespace string, options metav1.ListOptions, specs *specCache) (runtime.Object, error) {
	list := &unstructured.UnstructuredList{}
	version, err := l.list(ctx, policyResource, namespace, options, acceptWhole, policyListKind, func(item []byte) error {
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

// metadata returns what is cached of the metadata of all objects of a kind in a namespace.
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

// list calls take with each object, as JSON that is valid until take returns, and returns the resourceVersion of the list. With an
// error, what was taken is not the whole list.
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
	version, err = readList(body, kind, take)
	if err != nil {
		err = fmt.Errorf("read the list of %s in %s: %w", resource.Resource, namespace, err)
	}
	return version, err
}

// readList reads a list of a kind as the API server writes it: an object whose members may come in any order. A body that is cut off, or
// that is something else, is an error, so that it never passes for a list with fewer objects.
func readList(body io.Reader, kind string, take func(item []byte) error) (version string, err error) {
	decoder := json.NewDecoder(body)
	if err := expect(decoder, json.Delim('{')); err != nil {
		return "", err
	}
	var found struct {
		kind     string
		metadata metav1.ListMeta
		items    bool
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return "", whole(err)
		}
		switch name {
		case "kind":
			err = decoder.Decode(&found.kind)
		case "metadata":
			err = decoder.Decode(&found.metadata)
		case "items":
			found.items = true
			err = readItems(decoder, take)
		default:
			err = decoder.Decode(&json.RawMessage{})
		}
		if err != nil {
			return "", whole(err)
		}
	}
	if err := expect(decoder, json.Delim('}')); err != nil {
		return "", err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) { // read to its end, the connection can be used again
		return "", errors.New("the answer has more than a list")
	}
	if found.kind != kind || !found.items || found.metadata.ResourceVersion == "" || found.metadata.Continue != "" {
		return "", fmt.Errorf("the answer is no whole %s", kind)
	}
	return found.metadata.ResourceVersion, nil
}

// readItems reads an array of objects, or null: that is how an API server writes a list of metadata in which there is none.
func readItems(decoder *json.Decoder, take func(item []byte) error) error {
	switch token, err := decoder.Token(); {
	case err != nil:
		return err
	case token == nil:
		return nil
	case token != json.Delim('['):
		return errors.New("the answer is no list: its items are no array")
	}
	var item json.RawMessage
	for decoder.More() {
		if err := decoder.Decode(&item); err != nil {
			return err
		}
		if err := take(item); err != nil {
			return err
		}
	}
	return expect(decoder, json.Delim(']'))
}

func expect(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return whole(err)
	}
	if token != want {
		return fmt.Errorf("the answer is no list: %s is missing", want)
	}
	return nil
}

// whole returns err, with the end of a body where more should follow as what it is: a body that was cut off.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the answer is no JSON from octet %d on", syntax.Offset) // its text quotes the body
	}
	return err
}
