// Command crdschema changes a generated CustomResourceDefinition in place, where controller-gen has no marker:
//
//   - A value of spec.profile may be a string, number, boolean or list of strings. A marker can only set one type.
//   - It joins the lines of each paragraph of a description, so that kubectl explain wraps them to the width of the
//     terminal.
//   - It removes the descriptions of list items. Otherwise kubectl explain would show the Go comment of their type
//     after that of the field.
package main

import (
	"fmt"
	"os"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const (
	maxText  = 1000 // characters in a string: far more than in any attribute of an Okta profile
	maxTexts = 100  // strings in a list
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crdschema FILE")
		os.Exit(2)
	}
	if err := rewrite(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "crdschema:", err)
		os.Exit(1)
	}
}

func rewrite(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var crd map[string]any // not CustomResourceDefinition, which would add an empty status when it is written
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	versions, _ := at(crd, "spec")["versions"].([]any)
	if len(versions) == 0 {
		return fmt.Errorf("%s: no versions", file)
	}
	for _, version := range versions {
		version, _ := version.(map[string]any)
		item := at(version, "schema", "openAPIV3Schema", "properties", "spec", "properties", "profile", "items", "properties")
		value, ok := item["value"].(map[string]any)
		if !ok {
			return fmt.Errorf("%s: version %v has no spec.profile[].value", file, version["name"])
		}
		description := value["description"]
		clear(value)
		value["description"] = description
		value["x-kubernetes-preserve-unknown-fields"] = true // a schema without type is only valid with this
		// Each of the following limits only applies to values of one type.
		value["maxLength"] = maxText
		value["maxItems"] = maxTexts
		value["items"] = apiextensionsv1.JSONSchemaProps{Type: "string", MaxLength: new(int64(maxText))}
		value["minProperties"] = 1 // an object cannot have at least 1 and ...
		value["maxProperties"] = 0 // ... at most 0 properties, so that no object is valid
		describe(at(version, "schema", "openAPIV3Schema"))
	}
	out, err := yaml.Marshal(crd)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append([]byte("---\n"), out...), 0o644)
}

// describe joins the lines of each paragraph of the descriptions in a schema, and removes the descriptions of list
// items.
func describe(schema map[string]any) {
	if text, ok := schema["description"].(string); ok {
		paragraphs := strings.Split(text, "\n\n")
		for i, paragraph := range paragraphs {
			paragraphs[i] = strings.Join(strings.Fields(paragraph), " ")
		}
		schema["description"] = strings.Join(paragraphs, "\n\n")
	}
	if items := at(schema, "items"); items != nil {
		delete(items, "description")
		describe(items)
	}
	for _, property := range at(schema, "properties") {
		if property, ok := property.(map[string]any); ok {
			describe(property)
		}
	}
}

// at returns the object at a path of keys in nested objects, or nil if there is none.
func at(object map[string]any, keys ...string) map[string]any {
	for _, key := range keys {
		object, _ = object[key].(map[string]any)
	}
	return object
}
