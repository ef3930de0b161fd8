package policyfile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	strictjson "sigs.k8s.io/json"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// fileMaps are the ConfigMaps of files.
type fileMaps map[types.NamespacedName]*corev1.ConfigMap

// Version returns the version of a ConfigMap.
func (m fileMaps) Version(name types.NamespacedName) publish.Version {
	if object := m[name]; object != nil {
		return publish.Version{UID: object.UID, ResourceVersion: object.ResourceVersion}
	}
	return publish.Version{}
}

// Get returns a ConfigMap.
func (m fileMaps) Get(_ context.Context, name types.NamespacedName, _ publish.Version) (*corev1.ConfigMap, error) {
	return m[name], nil
}

func isConfigMap(object map[string]any) bool {
	return object["apiVersion"] == "v1" && object["kind"] == "ConfigMap"
}

// readList reads the ConfigMap that a document holds. One without the label is refused: a cluster's operator would not see it.
func (d *document) readList(object map[string]any) error {
	errs := []error{d.violations(checkMetadata(object["metadata"]))}
	asJSON, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("%s: not a ConfigMap", d.place(""))
	}
	list := &corev1.ConfigMap{}
	unknown, err := strictjson.UnmarshalStrict(asJSON, list)
	if err != nil {
		// What the package says may quote a line.
		return fmt.Errorf("%s: not a ConfigMap: write data with a text under each key", d.place("data"))
	}
	for _, problem := range unknown {
		detail := problem.Error()
		if strings.Contains(detail, "@") {
			detail = policyobject.UnknownField
		}
		errs = append(errs, fmt.Errorf("%s: %s", d.place(""), detail))
	}
	if !listconfigmap.IsList(list) {
		errs = append(errs, fmt.Errorf("%s: a ConfigMap here must be a list: write the label %s: %q, or remove it",
			d.place("metadata.labels"), listconfigmap.Label, listconfigmap.LabelTrue))
	}
	if list.Namespace == "" {
		list.Namespace = fileNamespace
	}
	list.UID = types.UID(listconfigmap.DigestOf(asJSON)) // tells its versions apart
	d.list = list
	return errors.Join(errs...)
}

// splitLists tells policies and lists apart.
func splitLists(documents []*document) ([]*document, fileMaps) {
	var policies []*document
	lists := fileMaps{}
	for _, document := range documents {
		if document.list == nil {
			policies = append(policies, document)
			continue
		}
		lists[types.NamespacedName{Namespace: document.list.Namespace, Name: document.list.Name}] = document.list
	}
	return policies, lists
}

// resolveFiles resolves policies with the ConfigMaps of files.
func resolveFiles(ctx context.Context, lists *publish.Lists, maps fileMaps, policies []rules.Policy) ([]rules.Policy, error) {
	const group = "files"
	return lists.Resolve(ctx, group, maps, nil, policies)
}
