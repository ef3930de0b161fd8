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

// Schema is the schema of a policy's spec as the API server enforces it, run here by the API server's own packages: with
// it, a file is held to the same rules as an applied object, and an object stored under another version of the
// CustomResourceDefinition is recognised. Safe for use by several goroutines.
type Schema struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	cel        *cel.Validator
}

// NewSchema returns the schema of the CustomResourceDefinition that this operator was built with. It is compiled once: that
// takes tens of milliseconds.
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

// Validate completes spec with the defaults and returns every violation of the schema, unknown fields included. What it is
// given stays as it is.
func (s *Schema) Validate(ctx context.Context, spec map[string]any) (completed map[string]any, _ field.ErrorList) {
	path := field.NewPath("spec")
	completed = runtime.DeepCopyJSON(spec)
	errs := unknownFields(completed, s.structural)
	for _, null := range nulls(path, completed) {
		errs = append(errs, field.Required(null, "null is no value; write one, or leave the field out"))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(completed, s.structural)
	defaulting.Default(completed, s.structural)
	errs = append(errs, validation.ValidateCustomResource(path, completed, s.openAPI)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(path, s.structural, completed)...)
	if slices.ContainsFunc(errs, keepsFromRules) {
		return completed, errs
	}
	// To its end even when the process stops: what was interrupted would pass for a policy that is not understood.
	ctx = context.WithoutCancel(ctx)
	violations, _ := s.cel.Validate(ctx, path, s.structural, completed, nil, celconfig.RuntimeCELCostBudget)
	errs = slices.DeleteFunc(errs, func(err *field.Error) bool { // the rule on the same field says what to write instead
		return (strings.Contains(err.Detail, "should match") || strings.Contains(err.Detail, "properties")) &&
			slices.ContainsFunc(violations, func(v *field.Error) bool { return v.Field == err.Field })
	})
	return completed, append(errs, violations...)
}

// nulls returns the paths of the members of known fields that are null. An API server drops them; from a file, where a field
// whose members are all commented out is null, that would make "every call" of some calls.
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

// keepsFromRules tells the violations with which the API server does not evaluate rules in CEL: the object is not of their
// shape, or too large. With any other, the rules say what to write instead.
func keepsFromRules(violation *field.Error) bool {
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
		errs = append(errs, &field.Error{Type: field.ErrorTypeForbidden, Field: sayable(path, structural), Detail: UnknownField})
	}
	return errs
}

// UnknownField is the detail of a violation by a field that the schema does not have.
const UnknownField = "unknown field"

// IsFieldName tells what looks like the path of a field from an address in the wrong place.
var IsFieldName = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]+$`).MatchString

// sayable returns the path of a field that the schema does not know. Of one that holds more than a misspelt name it is only
// the part that the schema knows: the rest may be a local part, which may hold dots itself.
func sayable(path string, structural *schema.Structural) string {
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

// summary joins violations into one line. It leaves out the values, which may hold a local part.
func summary(errs field.ErrorList) string {
	const most = 3 // more do not help: the first ones are fixed first
	var parts []string
	for i, err := range errs {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(errs)-most))
			break
		}
		parts = append(parts, Violation(err))
	}
	return strings.Join(parts, "; ")
}

// Violation says in words what a violation is, and its fix. It holds no value.
func Violation(err *field.Error) string {
	switch err.Type {
	case field.ErrorTypeRequired:
		return strings.TrimSuffix(fmt.Sprintf("%s: required: %s", err.Field, err.Detail), ": ")
	case field.ErrorTypeDuplicate:
		if listPath(err.Field) {
			return err.Field + ": several lists have one name, or none; give each a name of its own, as in {name: partners, configMap: …}"
		}
		return err.Field + ": listed twice; write each item once"
	case field.ErrorTypeTooMany:
		said := fmt.Sprintf("%s: too many: %s", err.Field, err.Detail)
		if strings.HasPrefix(err.Field, "spec.profile[") { // the schema has no better words for an object where a value belongs
			said += "; write a string, number, boolean, or a list of strings"
		}
		return said
	case field.ErrorTypeForbidden:
		if err.Detail == UnknownField {
			return err.Field + ": unknown field; look at its spelling and its place"
		}
		return err.Field + ": " + err.Detail
	case field.ErrorTypeNotSupported, field.ErrorTypeTooLong:
		return fmt.Sprintf("%s: %s: %s", err.Field, strings.ToLower(err.Type.String()), err.Detail)
	default:
		return err.Field + ": " + plainWords(err)
	}
}

var (
	inBody    = regexp.MustCompile(`^\S* in body `)
	wrongType = regexp.MustCompile(`^must be of type (\w+): "(\w+)"$`)
	// kinds are the types of JSON in the words of somebody who writes YAML.
	kinds = map[string]string{
		"array": "a list, one item after each - or between [ and ]", "object": "fields, each as name: value",
		"string": "text, in quotes where YAML takes it for something else", "boolean": "true or false", "integer": "a whole number",
		"number": "a number",
	}
)

// plainWords says what the schema's validator says, which repeats part of the path, speaks of a body, shows regular expressions,
// and has no fix.
func plainWords(err *field.Error) string {
	detail := inBody.ReplaceAllLiteralString(err.Detail, "")
	switch {
	case strings.HasPrefix(detail, "should match "), strings.Contains(detail, "regex used for validation"):
		return shape(err.Field)
	case strings.HasPrefix(detail, "should have at least 1 items"):
		return "is empty; write an item, or leave the field out"
	case strings.HasPrefix(detail, "should be at least 1 char"):
		return "is empty; " + shape(err.Field)
	}
	if match := wrongType.FindStringSubmatch(detail); match != nil && kinds[match[1]] != "" {
		return fmt.Sprintf("must be of type %s, and is of type %s; write %s", match[1], match[2], kinds[match[1]])
	}
	return detail
}
