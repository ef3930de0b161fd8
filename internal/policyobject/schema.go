package policyobject

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/config/crd"
)

// Schema validates a policy's spec as the API server does, with the API server's own packages. So a file is checked by
// the same rules as an applied object, and an object stored under another version of the CustomResourceDefinition is
// noticed. It is safe for concurrent use.
type Schema struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	cel        *cel.Validator
}

// NewSchema returns the schema of the CustomResourceDefinition that this operator was built with. It fails only if that
// definition is invalid. The schema is compiled once, which takes tens of milliseconds.
var NewSchema = sync.OnceValues(compileSpecSchema)

func compileSpecSchema() (*Schema, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.RegistrationPolicies, &definition); err != nil {
		return nil, fmt.Errorf("read the CustomResourceDefinition: %w", err)
	}
	root := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	spec := root.Properties["spec"]
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&spec, &internal, nil); err != nil {
		return nil, fmt.Errorf("convert the schema of spec: %w", err)
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		return nil, fmt.Errorf("read the schema of spec: %w", err)
	}
	openAPI, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return nil, fmt.Errorf("compile the schema of spec: %w", err)
	}
	return &Schema{structural, openAPI, cel.NewValidator(structural, false, celconfig.PerCallLimit)}, nil
}

// Validate returns a copy of spec with the defaults, and all violations of the schema, including unknown fields. It
// does not change spec.
func (s *Schema) Validate(ctx context.Context, spec map[string]any) (completed map[string]any, _ field.ErrorList) {
	path := field.NewPath("spec")
	completed = runtime.DeepCopyJSON(spec)
	errs := unknownFields(completed, s.structural)
	for _, null := range nulls(path, completed) {
		errs = append(errs, field.Required(null, "null is not a value; write one, or leave the field out"))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(completed, s.structural)
	defaulting.Default(completed, s.structural)
	errs = append(errs, validation.ValidateCustomResource(path, completed, s.openAPI)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(path, s.structural, completed)...)
	if slices.ContainsFunc(errs, preventsCEL) {
		return completed, errs
	}
	// Not canceled when the process stops: an interrupted validation would look like a policy that is not understood.
	ctx = context.WithoutCancel(ctx)
	violations, _ := s.cel.Validate(ctx, path, s.structural, completed, nil, celconfig.RuntimeCELCostBudget)
	errs = slices.DeleteFunc(errs, func(err *field.Error) bool { // a CEL rule on the same field has the better message
		return (strings.Contains(err.Detail, "should match") || strings.Contains(err.Detail, "properties")) &&
			slices.ContainsFunc(violations, func(v *field.Error) bool { return v.Field == err.Field })
	})
	return completed, append(errs, violations...)
}

// nulls returns the paths of null fields. The API server drops them, but in a file a field is null if all of its
// members are commented out. To drop such an appliesTo would apply the policy to every call.
func nulls(path *field.Path, value any) []*field.Path {
	var paths []*field.Path
	switch value := value.(type) {
	case nil:
		return []*field.Path{path}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if IsFieldName(name) {
				paths = append(paths, nulls(path.Child(name), value[name])...)
			}
		}
	case []any:
		for i := range value {
			paths = append(paths, nulls(path.Index(i), value[i])...)
		}
	}
	return paths
}

// preventsCEL reports whether the API server skips CEL rules after a violation: the object has other types than the
// rules expect, or is too large.
func preventsCEL(violation *field.Error) bool {
	switch violation.Type {
	case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTypeInvalid,
		field.ErrorTypeTooLong, field.ErrorTypeTooMany:
		return true
	default:
		return false
	}
}

func unknownFields(spec map[string]any, structural *schema.Structural) field.ErrorList {
	unknown := pruning.PruneWithOptions(spec, structural, false, schema.UnknownFieldPathOptions{
		TrackUnknownFieldPaths: true,
		ParentPath:             []string{"spec"},
	})
	var errs field.ErrorList
	for _, path := range unknown {
		errs = append(errs, &field.Error{Type: field.ErrorTypeForbidden, Field: quotablePath(path, structural), Detail: UnknownField})
	}
	return errs
}

// UnknownField is the detail of a violation by an unknown field.
const UnknownField = "unknown field"

// IsFieldName reports whether a text looks like the path of a field, rather than an address in the wrong place.
var IsFieldName = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]+$`).MatchString

// quotablePath returns the path of an unknown field as a message may quote it. If the path does not look like field
// names, it returns only the part that the schema knows, since the rest may be a local part, which may itself hold
// dots.
func quotablePath(path string, structural *schema.Structural) string {
	if IsFieldName(path) {
		return path
	}
	steps := strings.Split(path, ".")
	known := 1 // spec
	for _, step := range steps[1:] {
		name, _, isItem := strings.Cut(step, "[")
		property, found := structural.Properties[name]
		if !found || !IsFieldName(step) {
			break
		}
		structural = &property
		if isItem && property.Items != nil {
			structural = property.Items
		}
		known++
	}
	return strings.Join(steps[:known], ".") + ".…"
}

// summary joins violations into one line, without the values, which may hold a local part.
func summary(errs field.ErrorList) string {
	const maxViolations = 3 // authors fix the first ones first
	var parts []string
	for i, err := range errs {
		if i == maxViolations {
			parts = append(parts, fmt.Sprintf("and %d more", len(errs)-maxViolations))
			break
		}
		parts = append(parts, Violation(err))
	}
	return strings.Join(parts, "; ")
}

// Violation returns what a violation is and its fix, in words and without the value.
func Violation(err *field.Error) string {
	switch err.Type {
	case field.ErrorTypeRequired:
		return strings.TrimSuffix(fmt.Sprintf("%s: required: %s", err.Field, err.Detail), ": ")
	case field.ErrorTypeDuplicate:
		if isListPath(err.Field) {
			return err.Field + ": several lists have the same name, or none; give each its own name, as in {name: partners, configMap: …}"
		}
		return err.Field + ": listed twice; write each item once"
	case field.ErrorTypeTooMany:
		text := fmt.Sprintf("%s: too many: %s", err.Field, err.Detail)
		if strings.HasPrefix(err.Field, "spec.profile[") { // the schema reports an object there only as too many properties
			text += "; write a string, number, boolean, or a list of strings"
		}
		return text
	case field.ErrorTypeForbidden:
		if err.Detail == UnknownField {
			return err.Field + ": unknown field; look at its spelling and its place"
		}
		return err.Field + ": " + err.Detail
	case field.ErrorTypeNotSupported, field.ErrorTypeTooLong:
		return fmt.Sprintf("%s: %s: %s", err.Field, strings.ToLower(err.Type.String()), err.Detail)
	default:
		return err.Field + ": " + plainDetail(err)
	}
}

var (
	inBody    = regexp.MustCompile(`^\S* in body `)
	wrongType = regexp.MustCompile(`^must be of type (\w+): "(\w+)"$`)
	// yamlTypes describe how to write each JSON type in YAML.
	yamlTypes = map[string]string{
		"array": "a list, one item after each - or between [ and ]", "object": "fields, each as name: value",
		"string": "text, in quotes where YAML takes it for something else", "boolean": "true or false", "integer": "a whole number",
		"number": "a number",
	}
)

// plainDetail rewrites the detail of a schema violation, which repeats part of the path, mentions a body, shows regular
// expressions, and has no fix.
func plainDetail(err *field.Error) string {
	detail := inBody.ReplaceAllLiteralString(err.Detail, "")
	switch {
	case strings.HasPrefix(detail, "should match "), strings.Contains(detail, "regex used for validation"):
		return patternHint(err.Field)
	case strings.HasPrefix(detail, "should have at least 1 items"):
		return "is empty; write an item, or leave the field out"
	case strings.HasPrefix(detail, "should be at least 1 char"):
		return "is empty; " + patternHint(err.Field)
	}
	if match := wrongType.FindStringSubmatch(detail); match != nil && yamlTypes[match[1]] != "" {
		return fmt.Sprintf("must be of type %s, and is of type %s; write %s", match[1], match[2], yamlTypes[match[1]])
	}
	return detail
}
