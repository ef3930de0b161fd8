package policyobject

import (
	"context"
	"fmt"
	"maps"
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
	"registrationpolicy.dev/operator/internal/violation"
)

// Schema validates the spec of a policy as the API server does, with the API server's own packages. So files are
// validated by the same rules as applied objects, and the operator detects objects that were stored under another
// version of the CustomResourceDefinition. A Schema is safe for concurrent use.
type Schema struct {
	structural *schema.Structural
	openAPI    validation.SchemaValidator
	cel        *cel.Validator
}

// NewSchema returns the schema of the CustomResourceDefinition that this operator was built with. All calls return the
// same Schema, because compiling it takes tens of milliseconds. NewSchema fails only if the definition is invalid.
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

// Validate returns a copy of spec completed with the defaults, and all violations of the schema, including unknown
// fields. One mistake can cause several: see [violation.Distinct]. Validate does not change spec.
func (s *Schema) Validate(ctx context.Context, spec map[string]any) (completed map[string]any, _ field.ErrorList) {
	path := field.NewPath("spec")
	completed = runtime.DeepCopyJSON(spec)
	errs := s.unknownFields(completed)
	for _, null := range nulls(path, completed) {
		errs = append(errs, violation.Null(null))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(completed, s.structural)
	defaulting.Default(completed, s.structural)
	errs = append(errs, validation.ValidateCustomResource(path, completed, s.openAPI)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(path, s.structural, completed)...)
	if slices.ContainsFunc(errs, preventsCEL) {
		return completed, errs
	}
	// The validation is not interrupted when the process stops: the error would look like a mistake in the policy.
	ctx = context.WithoutCancel(ctx)
	violations, _ := s.cel.Validate(ctx, path, s.structural, completed, nil, celconfig.RuntimeCELCostBudget)
	// A field can violate a CEL rule and also its pattern, or its limit on the number of properties. Keep only the
	// message of the CEL rule, since it says what to write.
	errs = slices.DeleteFunc(errs, func(err *field.Error) bool {
		return (strings.Contains(err.Detail, "should match") || strings.Contains(err.Detail, "properties")) &&
			slices.ContainsFunc(violations, func(v *field.Error) bool { return v.Field == err.Field })
	})
	return completed, append(errs, violations...)
}

// nulls returns the paths of the fields and items in value that are null. The API server drops null fields. In a file,
// a field is null if all lines below it are commented out, and dropping such an appliesTo would apply the policy to
// every call.
func nulls(path *field.Path, value any) []*field.Path {
	var paths []*field.Path
	switch value := value.(type) {
	case nil:
		return []*field.Path{path}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if violation.IsFieldName(name) {
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

// preventsCEL reports whether the CEL rules are skipped because of a violation: the object has other types than the
// rules expect, or is too large for their cost limit.
func preventsCEL(violation *field.Error) bool {
	switch violation.Type {
	case field.ErrorTypeRequired, field.ErrorTypeTypeInvalid, field.ErrorTypeTooLong, field.ErrorTypeTooMany:
		return true
	default:
		return false
	}
}

func (s *Schema) unknownFields(spec map[string]any) field.ErrorList {
	unknown := pruning.PruneWithOptions(spec, s.structural, false, schema.UnknownFieldPathOptions{
		TrackUnknownFieldPaths: true,
		ParentPath:             []string{"spec"},
	})
	var errs field.ErrorList
	for _, path := range unknown {
		errs = append(errs, s.unknownField(path))
	}
	return errs
}

// unknownField returns the violation by an unknown field in the spec.
func (s *Schema) unknownField(path string) *field.Error {
	path, object := quotablePath(path, s.structural)
	known := slices.Collect(maps.Keys(object.Properties))
	return violation.UnknownField(path, known, s.fieldsNamed(path))
}

// UnknownField returns the violation by an unknown field outside of the spec. known are the fields of the same object.
// The text says if the field belongs in the spec.
func (s *Schema) UnknownField(path string, known []string) *field.Error {
	return violation.UnknownField(path, known, s.fieldsNamed(path))
}

// fieldsNamed returns the paths of the objects in the spec that have a field with the name of the unknown field at
// path. For a path in deny it returns no path in allow, and the reverse: moving an entry there would invert its
// meaning.
func (s *Schema) fieldsNamed(path string) []string {
	name := path[strings.LastIndex(path, ".")+1:]
	var found []string
	var visit func(at string, object *schema.Structural)
	visit = func(at string, object *schema.Structural) {
		if at == "spec.allow" && strings.HasPrefix(path, "spec.deny.") || at == "spec.deny" && strings.HasPrefix(path, "spec.allow.") {
			return
		}
		if _, has := object.Properties[name]; has {
			found = append(found, at)
		}
		for _, property := range slices.Sorted(maps.Keys(object.Properties)) {
			child := object.Properties[property]
			visit(at+"."+property, &child)
		}
		if object.Items != nil {
			visit(at+"[]", object.Items)
		}
	}
	visit("spec", s.structural)
	return found
}

// quotablePath returns the path of an unknown field as a message may quote it, and the schema of the object that has
// the field. If the path does not look like field names, it returns only the part that the schema knows: the rest may
// be the local part of an address, which may itself hold dots.
func quotablePath(path string, object *schema.Structural) (string, *schema.Structural) {
	steps := strings.Split(path, ".")
	known := 1 // the number of steps that the schema knows; the first is spec
	for _, step := range steps[1:] {
		name, _, isItem := strings.Cut(step, "[")
		property, found := object.Properties[name]
		if !found || !violation.IsFieldName(step) {
			break
		}
		object = &property
		if isItem && property.Items != nil {
			object = property.Items
		}
		known++
	}
	if violation.IsFieldName(path) {
		return path, object
	}
	return strings.Join(steps[:known], ".") + ".…", object
}

// summary describes, in one line, the first mistakes that caused errs. It quotes no values: they may hold the local
// part of an address.
func summary(errs field.ErrorList) string {
	const maxViolations = 3 // keeps the text short
	errs = violation.Distinct(errs)
	var parts []string
	for i, err := range errs {
		if i == maxViolations {
			parts = append(parts, fmt.Sprintf("and %d more", len(errs)-maxViolations))
			break
		}
		parts = append(parts, violation.Text(err))
	}
	return strings.Join(parts, "; ")
}
