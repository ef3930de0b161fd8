package policyobject

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/violation"
	"registrationpolicy.dev/operator/rules"
)

// Convert converts one object, of which it uses only name, namespace and spec. An object that violates the schema of
// this operator, for example one that was written for a newer version, becomes a policy with the reason in
// NotUnderstood. Such a policy keeps the mode and the calls that it applies to, as far as these parts are valid. In
// mode Enforce it denies these calls.
func (s *Schema) Convert(ctx context.Context, object *unstructured.Unstructured) rules.Policy {
	name := rules.PolicyName{Namespace: object.GetNamespace(), Name: object.GetName()}
	spec, isObject := object.Object["spec"].(map[string]any)
	if !isObject {
		return rules.Policy{PolicyName: name, NotUnderstood: "spec: missing, or not an object"}
	}
	completed, errs := s.Validate(ctx, spec)
	if errs = slices.DeleteFunc(errs, leftToRules); len(errs) > 0 {
		return s.notUnderstood(ctx, name, spec, errs)
	}
	var typed v1alpha1.RegistrationPolicySpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(completed, &typed); err != nil {
		// A defect of the operator: the schema and the Go types are generated from the same source. The text of the
		// error may quote a value, so the message does not contain it.
		return rules.Policy{PolicyName: name, NotUnderstood: "spec: could not be decoded"}
	}
	return policyFromSpec(name, &typed)
}

// Violations returns why [Schema.Convert] does not understand an object. It returns none for an object that Convert
// understands.
func (s *Schema) Violations(ctx context.Context, object *unstructured.Unstructured) field.ErrorList {
	spec, isObject := object.Object["spec"].(map[string]any)
	if !isObject {
		return field.ErrorList{field.Required(field.NewPath("spec"), "write what the policy allows or denies")}
	}
	_, errs := s.Validate(ctx, spec)
	return slices.DeleteFunc(errs, leftToRules)
}

// leftToRules reports whether Convert ignores a violation. It ignores what earlier schemas accepted:
//
//   - An entry is an address that is a pattern, or has letters that are invisible or invalid in a domain. Package rules
//     rejects only this entry: an allow entry then allows nothing, and a deny entry makes the policy not enforceable.
//   - Lists of one field have the same name. Lists without a name all get the default name, so only one list is valid
//     without a name. Package rules does not use the names.
//
// Otherwise, a stored policy with such an allow entry or such lists would be NotUnderstood after an upgrade, and deny
// all calls to which it applies.
func leftToRules(err *field.Error) bool {
	switch err.Type {
	case field.ErrorTypeInvalid:
		_, _, isEntry := violation.EntryAt(err.Field)
		return isEntry && (strings.HasPrefix(err.Detail, "an address is no pattern") ||
			strings.HasPrefix(err.Detail, "write the letters that the domain is registered with"))
	case field.ErrorTypeDuplicate:
		return violation.IsListPath(err.Field)
	default:
		return false
	}
}

// notUnderstood returns the policy for a spec that violates the schema.
func (s *Schema) notUnderstood(ctx context.Context, name rules.PolicyName, spec map[string]any, errs field.ErrorList) rules.Policy {
	policy := rules.Policy{PolicyName: name, NotUnderstood: summary(errs)}
	if spec["mode"] == string(v1alpha1.ModeAudit) {
		policy.Mode = rules.Audit
	}
	appliesTo, found := spec["appliesTo"]
	if !found {
		return policy
	}
	// Validate only appliesTo, within a minimal policy whose other fields are valid.
	probe := map[string]any{"appliesTo": appliesTo, "deny": map[string]any{"domains": []any{"*"}}}
	completed, errs := s.Validate(ctx, probe)
	if len(errs) > 0 {
		return policy // appliesTo is not valid, so the policy applies to all calls
	}
	var typed v1alpha1.RegistrationPolicySpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(completed, &typed); err != nil {
		return policy
	}
	probed := policyFromSpec(name, &typed)
	policy.RequestTypes, policy.Sources = probed.RequestTypes, probed.Sources
	return policy
}

// policyFromSpec converts a valid spec.
func policyFromSpec(name rules.PolicyName, spec *v1alpha1.RegistrationPolicySpec) rules.Policy {
	policy := rules.Policy{PolicyName: name, Mode: rules.Mode(spec.Mode), Message: string(spec.Message)}
	if applies := spec.AppliesTo; applies != nil {
		policy.RequestTypes = texts[rules.RequestType](applies.RequestTypes)
		policy.Sources = texts[string](applies.Sources)
	}
	if allow := spec.Allow; allow != nil {
		policy.Allow = rules.AllowRules{
			Domains:        texts[string](allow.Domains),
			PublicSuffixes: texts[string](allow.PublicSuffixes),
			Addresses:      texts[string](allow.Addresses),
			Lists:          listUses(allow.Lists),
		}
	}
	if deny := spec.Deny; deny != nil {
		policy.Deny = rules.DenyRules{
			Domains:   texts[string](deny.Domains),
			Addresses: texts[string](deny.Addresses),
			Lists:     listUses(deny.Lists),
		}
	}
	for _, attribute := range spec.Profile {
		policy.Profile = append(policy.Profile, rules.ProfileAttribute{
			Name: string(attribute.Attribute), Value: string(attribute.Value.Raw),
		})
	}
	policy.ProfileOn = texts[rules.RequestType](spec.ProfileOn)
	return policy
}

// listUses converts references to lists. It does not read the lists: package publish does.
func listUses(references []v1alpha1.ListReference) []rules.ListUse {
	var uses []rules.ListUse
	for _, reference := range references {
		uses = append(uses, rules.ListUse{
			Name:     string(reference.ConfigMap.Name),
			Key:      string(reference.ConfigMap.Key),
			Optional: reference.Optional != nil && *reference.Optional,
		})
	}
	return uses
}

// texts converts a slice of one string type to a slice of another. It returns nil for an empty slice.
func texts[To, From ~string](from []From) []To {
	return slices.Collect(func(yield func(To) bool) {
		for _, text := range from {
			if !yield(To(text)) {
				return
			}
		}
	})
}
