package api

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// kubectl explain shows the API's reference in a terminal. It wraps each paragraph itself, so a paragraph must be one
// line. It adds the description of list items to that of the list, so items must have none.
func TestKubectlExplainReadsAsAReference(t *testing.T) {
	for _, version := range definition.Spec.Versions {
		checkDescriptions(t, version.Name, version.Schema.OpenAPIV3Schema)
	}
}

func checkDescriptions(t *testing.T, path string, schema *apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	for name, property := range schema.Properties {
		at := path + "." + name
		standard := strings.Count(at, ".") == 1 && name != "spec" && name != "status" // kind, apiVersion, metadata
		switch text := property.Description; {
		case standard:
			continue
		case !strings.HasPrefix(text, name+" ") && !strings.HasPrefix(text, name+": "):
			t.Errorf("%s: the description does not begin with the field's name: %q", at, text)
		case strings.Contains(strings.ReplaceAll(text, "\n\n", ""), "\n"):
			t.Errorf("%s: a paragraph of the description has several lines: %q", at, text)
		}
		if property.Items != nil && property.Items.Schema != nil {
			if text := property.Items.Schema.Description; text != "" {
				t.Errorf("%s: the items have a description too: %q", at, text)
			}
			checkDescriptions(t, at+"[]", property.Items.Schema)
		}
		checkDescriptions(t, at, &property)
	}
}
