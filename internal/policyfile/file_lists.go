package policyfile

import (
	"context"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	strictjson "sigs.k8s.io/json"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/violation"
	"registrationpolicy.dev/operator/rules"
)

// configMaps are ConfigMaps by name. It implements [publish.ConfigMaps].
type configMaps map[types.NamespacedName]*corev1.ConfigMap

// Version returns the version of a ConfigMap, or the zero Version if there is no ConfigMap of that name.
func (m configMaps) Version(name types.NamespacedName) publish.Version {
	if object := m[name]; object != nil {
		return publish.Version{UID: object.UID, ResourceVersion: object.ResourceVersion}
	}
	return publish.Version{}
}

// Get returns a ConfigMap, or nil if there is no ConfigMap of that name. It never fails.
func (m configMaps) Get(_ context.Context, name types.NamespacedName, _ publish.Version) (*corev1.ConfigMap, error) {
	return m[name], nil
}

func isConfigMap(object map[string]any) bool {
	return object["apiVersion"] == "v1" && object["kind"] == "ConfigMap"
}

// readList decodes object, a ConfigMap, and sets the list of the document. It fails if the ConfigMap lacks the label of
// a list, because an operator in a cluster would not read such a ConfigMap.
func (d *document) readList(object map[string]any) error {
	violations := checkMetadata(object["metadata"])
	asJSON, err := json.Marshal(object)
	if err != nil {
		return d.mistakeAt("", NotAnObject, "not a ConfigMap")
	}
	list := &corev1.ConfigMap{}
	unknown, err := strictjson.UnmarshalStrict(asJSON, list)
	switch {
	case err != nil && len(violations) > 0: // the violations say why object cannot be decoded
		return d.violations(violations)
	case err != nil:
		// The message leaves out the text of err, which may quote an address.
		return d.mistakeAt("data", violation.WrongType, "not a ConfigMap: write data with a text under each key")
	}
	for _, problem := range unknown {
		if !strings.Contains(problem.Error(), `"metadata.`) { // checkMetadata reports those of metadata
			violations = append(violations, strictViolation(problem, nil, "apiVersion", "kind", "metadata", "data"))
		}
	}
	errs := []error{d.violations(violations)}
	if !listconfigmap.IsList(list) {
		errs = append(errs, d.mistakeAt("metadata.labels", UnlabelledList, "a ConfigMap here must be a list: write the label %s: %q, or remove it",
			listconfigmap.Label, listconfigmap.LabelTrue))
	}
	if list.Namespace == "" {
		list.Namespace = fileNamespace
	}
	list.UID = types.UID(listconfigmap.DigestOf(asJSON)) // a digest of the content, so that Version changes with the content
	d.list = list
	return errors.Join(errs...)
}

// splitLists returns the documents that are policies, and the ConfigMaps of the other documents.
func splitLists(documents []*document) ([]*document, configMaps) {
	var policies []*document
	lists := configMaps{}
	for _, document := range documents {
		if document.list == nil {
			policies = append(policies, document)
			continue
		}
		lists[types.NamespacedName{Namespace: document.list.Namespace, Name: document.list.Name}] = document.list
	}
	return policies, lists
}

// resolveFiles returns the policies with the lists that they name, compiled from the ConfigMaps in maps.
func resolveFiles(ctx context.Context, lists *publish.Lists, maps configMaps, policies []rules.Policy) ([]rules.Policy, error) {
	const group = "files"
	return lists.Resolve(ctx, group, maps, nil, policies)
}
