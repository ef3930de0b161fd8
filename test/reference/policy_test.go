package reference

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/config/crd"
)

const policyPage = "../../docs/reference/policy.md"

// policySchema returns the schema of a policy, without the fields that all Kubernetes objects have.
func policySchema(t *testing.T) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(crd.RegistrationPolicies, definition); err != nil {
		t.Fatal(err)
	}
	schema := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, name := range []string{"apiVersion", "kind", "metadata"} {
		delete(schema.Properties, name)
	}
	return schema
}

func TestThePolicyPageListsEveryFieldWithTypeDefaultAndLimits(t *testing.T) {
	schema := policySchema(t)
	for _, part := range []string{"spec", "status"} {
		field := schema.Properties[part]
		want := fields(part, &field, slices.Contains(schema.Required, part))
		holds(t, policyPage, part, want, 4)
	}
}

func TestThePolicyPageListsEveryMessageOfARefusal(t *testing.T) {
	schema := policySchema(t)
	where := map[string][]string{}
	messages(where, "", schema)
	var want []string
	for message, paths := range where {
		want = append(want, "`"+message+"` | `"+strings.Join(paths, "`, `")+"`")
	}
	holds(t, policyPage, "What is refused, and what to write instead", want, 2)
}

// holds compares the first n columns of a page's table with the wanted rows, see [Differences].
func holds(t *testing.T, page, heading string, want []string, n int) {
	t.Helper()
	for _, difference := range Differences(page, heading, want, n) {
		t.Error(difference)
	}
}

// fields returns "`path` | type | default | limits" for a field and all fields below it, parents first.
func fields(path string, field *apiextensionsv1.JSONSchemaProps, required bool) []string {
	preset := "–"
	if required {
		preset = "required"
	}
	if field.Default != nil && field.Type == "string" {
		preset = "`" + strings.Trim(string(field.Default.Raw), `"`) + "`"
	}
	all := []string{fmt.Sprintf("`%s` | %s | %s | %s", path, typeOf(field), preset, limits(field))}
	object, prefix := field, path+"."
	if field.Items != nil && field.Items.Schema != nil && field.Items.Schema.Type == "object" {
		object, prefix = field.Items.Schema, path+"[]."
	}
	for _, name := range slices.Sorted(maps.Keys(object.Properties)) {
		member := object.Properties[name]
		all = append(all, fields(prefix+name, &member, slices.Contains(object.Required, name))...)
	}
	return all
}

func typeOf(field *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case field.Type == "array" && field.Items.Schema.Type == "object":
		return "list of objects"
	case field.Type == "array":
		return "list of " + field.Items.Schema.Type + "s"
	case field.Type == "":
		return "any"
	default:
		return field.Type
	}
}

// limits returns the limits of a field in the schema, except CEL rules, in words.
func limits(field *apiextensionsv1.JSONSchemaProps) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	bounds := func(least, most *int64, of, prefix string) {
		switch {
		case least != nil && most != nil:
			add("%s%d to %d %s", prefix, *least, *most, of)
		case least != nil && *least == 1:
			add("%sat least 1 %s", prefix, strings.TrimSuffix(of, "s"))
		case least != nil:
			add("%sat least %d %s", prefix, *least, of)
		case most != nil:
			add("%sat most %d %s", prefix, *most, of)
		}
	}
	texts := func(field *apiextensionsv1.JSONSchemaProps, prefix string) {
		if len(field.Enum) > 0 {
			var values []string
			for _, value := range field.Enum {
				values = append(values, "`"+strings.Trim(string(value.Raw), `"`)+"`")
			}
			add("%sone of %s", prefix, strings.Join(values, ", "))
		}
		bounds(field.MinLength, field.MaxLength, "characters", prefix)
		if field.Pattern != "" {
			add("%smatches `%s`", prefix, field.Pattern)
		}
		if field.Format != "" {
			add("%s%s", prefix, field.Format)
		}
	}
	texts(field, "")
	bounds(field.MinItems, field.MaxItems, "items", "")
	switch {
	case field.XListType != nil && *field.XListType == "set":
		add("each once")
	case field.XListType != nil && *field.XListType == "map":
		add("one for each `%s`", strings.Join(field.XListMapKeys, "`, `"))
	}
	if field.Items != nil && field.Items.Schema != nil {
		texts(field.Items.Schema, "each ")
	}
	if field.Minimum != nil {
		add("at least %v", *field.Minimum)
	}
	if field.MinProperties != nil && field.MaxProperties != nil && *field.MinProperties > *field.MaxProperties {
		add("no object")
	} else {
		bounds(field.MinProperties, field.MaxProperties, "fields", "")
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, "; ")
}

// messages adds to where, for each message of a CEL rule, the paths of the fields with that rule: of a field and all
// fields below it.
func messages(where map[string][]string, path string, field *apiextensionsv1.JSONSchemaProps) {
	for _, rule := range field.XValidations {
		where[rule.Message] = append(where[rule.Message], path)
	}
	if field.Items != nil && field.Items.Schema != nil {
		messages(where, path+"[]", field.Items.Schema)
	}
	for _, name := range slices.Sorted(maps.Keys(field.Properties)) {
		member := field.Properties[name]
		messages(where, strings.TrimPrefix(path+"."+name, "."), &member)
	}
}
