package snapshotfile

import (
	"crypto/sha256"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/listobjects"
)

// A file of format 2, numbers with the highest octet first:
//
//	magic                16 octets
//	format               4 octets
//	length of the file   8 octets
//	length of the header 4 octets
//	header               JSON of a Snapshot
//	texts of the lists   one after the other, as the header names them
//	SHA-256              32 octets, of all before them
const (
	magic  = "regpol snapshot\n"
	format = 2

	formatAt = len(magic)
	lengthAt = formatAt + 4
	headerAt = lengthAt + 8
	preamble = headerAt + 4

	// shortest is the length of a file in which nothing is missing but a header.
	shortest = preamble + sha256.Size
	// maxFile bounds what is written and read: lists of ten million names, several times what an operator is made for.
	maxFile = 256 << 20
)

// Snapshot is what a file holds.
type Snapshot struct {
	// Binding is what the snapshot is bound to.
	Binding Binding `json:"binding"`
	// Written is when the file was: right after the snapshot came into force.
	Written time.Time `json:"written"`
	// Digest is that of the snapshot which the policies compile to.
	Digest string `json:"digest"`
	// Synced is, for each namespace, the resourceVersion up to which the snapshot reflects its policies and lists.
	Synced map[string]string `json:"synced"`
	// Policies are the objects, in the order in which they were compiled.
	Policies []Policy `json:"policies"`
	// Refused says, for namespaces whose policies were beyond their budget, why: they are not among Policies.
	Refused map[string]string `json:"refused,omitempty"`
	// Lists are the ConfigMaps that the lists of these policies were read from. One that is not here was not there.
	Lists []ConfigMap `json:"lists"`
}

// Binding is what a snapshot is bound to. Under any other, another snapshot could be in force.
type Binding struct {
	// Version is that of the operator.
	Version string `json:"version"`
	// Cluster names the API server.
	Cluster string `json:"cluster"`
	// Namespaces are those that are watched, sorted.
	Namespaces []string `json:"namespaces"`
	// Flags are the flags that change decisions, as name=value.
	Flags []string `json:"flags"`
}

// Object is what is kept of every object's metadata.
type Object struct {
	// Namespace and Name are those of the object.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// UID and ResourceVersion name the version that was read.
	UID             types.UID `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
}

// Policy is what is kept of a policy.
type Policy struct {
	Object

	// Generation is the one of the spec.
	Generation int64 `json:"generation"`
	// Spec is JSON as k8s.io/apimachinery reads it; nil means that there is none.
	Spec any `json:"spec,omitempty"`
}

// ConfigMap is what is kept of a ConfigMap with a list, or a part of one.
type ConfigMap struct {
	Object

	// Format is that of the list (see listobjects); nil means entries.
	Format *string `json:"format,omitempty"`
	// Texts are the texts by their keys, sorted. Only their lengths are in the header.
	Texts []Text `json:"texts"`
}

// Text is one text of a ConfigMap.
type Text struct {
	// Key is that in the ConfigMap.
	Key string `json:"key"`
	// Length is in octets.
	Length int `json:"length"`
	text   []byte
}

// ConfigMapOf returns what is kept of a ConfigMap. Its texts are shared with it.
func ConfigMapOf(object *corev1.ConfigMap) ConfigMap {
	kept := ConfigMap{Object: Object{object.Namespace, object.Name, object.UID, object.ResourceVersion}}
	if format, marked := object.Annotations[listobjects.AnnotationFormat]; marked {
		kept.Format = &format
	}
	for key, text := range listobjects.Texts(object) {
		kept.Texts = append(kept.Texts, Text{key, len(text), text})
	}
	return kept
}

// ConfigMap returns the object, with all its texts under binaryData: to a reader of lists that is the same.
func (m *ConfigMap) ConfigMap() *corev1.ConfigMap {
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
			Labels: map[string]string{listobjects.Label: listobjects.LabelTrue},
		},
		BinaryData: make(map[string][]byte, len(m.Texts)),
	}
	if m.Format != nil {
		object.Annotations = map[string]string{listobjects.AnnotationFormat: *m.Format}
	}
	for _, text := range m.Texts {
		object.BinaryData[text.Key] = text.text
	}
	return object
}
