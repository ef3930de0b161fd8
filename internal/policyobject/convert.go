package policyobject

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/rules"
)

// Convert reads one object. An object that the schema of this operator refuses, be it from a newer version or damaged,
// becomes a policy that is not understood; how, and for which calls, it takes part is told from what can be read.
// Only its name, namespace and spec are looked at.
func (s *Schema) Convert(ctx context.Context, object *unstructured.Unstructured) rules.Policy {
	name := rules.PolicyName{Namespace: object.GetNamespace(), Name: object.GetName()}
	spec, isObject := object.Object["spec"].(map[string]any)
	if !isObject {
		return rules.Policy{PolicyName: name, NotUnderstood: "spec: missing, or not an object"}
	}
	completed, errs := s.Validate(ctx, spec)
	if errs = slices.DeleteFunc(errs, judgedByRules); len(errs) > 0 {
		return s.notUnderstood(ctx, name, spec, errs)
	}
	var typed v1alpha1.RegistrationPolicySpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(completed, &typed); err != nil {
		// The schema and the types are generated from one source: this is a fault of the operator, and the cause may quote a value.
		return rules.Policy{PolicyName: name, NotUnderstood: "spec: could not be decoded"}
	}
	return understood(name, &typed)
}

var listPath = regexp.MustCompile(`^spec\.(allow|deny)\.lists\[[0-9]+\]$`).MatchString

// judgedByRules tells the violations of what earlier schemas let pass, where the rest of a stored object is in no doubt: entries that are
// patterns, or have letters without a reading, and lists without names. The rules name such an entry; one that allows then
// allows nothing, and one that denies makes the policy not enforceable. So an upgrade does not deny everybody for an entry
// that allowed nobody.
func judgedByRules(violation *field.Error) bool {
	switch violation.Type {
	case field.ErrorTypeInvalid:
		return isEntry(violation.Field) && (strings.HasPrefix(violation.Detail, "an address is no pattern") ||
			strings.HasPrefix(violation.Detail, "write the letters that the domain is registered with"))
	case field.ErrorTypeDuplicate:
		return listPath(violation.Field)
	default:
		return false
	}
}

func (s *Schema) notUnderstood(ctx context.Context, name rules.PolicyName, spec map[string]any, errs field.ErrorList) rules.Policy {
	policy := rules.Policy{PolicyName: name, NotUnderstood: summary(errs)}
	if spec["mode"] == string(v1alpha1.ModeAudit) {
		policy.Mode = rules.Audit
	}
	appliesTo, found := spec["appliesTo"]
	if !found {
		return policy
	}
	// The smallest policy with this appliesTo, to hold that to the schema alone.
	probe := map[string]any{"appliesTo": appliesTo, "deny": map[string]any{"domains": []any{"*"}}}
	completed, errs := s.Validate(ctx, probe)
	if len(errs) > 0 {
		return policy // it cannot be told which calls are meant: all
	}
	var typed v1alpha1.RegistrationPolicySpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(completed, &typed); err != nil {
		return policy
	}
	limited := understood(name, &typed)
	policy.RequestTypes, policy.Sources = limited.RequestTypes, limited.Sources
	return policy
}

func understood(name rules.PolicyName, spec *v1alpha1.RegistrationPolicySpec) rules.Policy {
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

// listUses returns references without their lists, for publishing to fill in.
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

// texts converts between named string types.
func texts[To, From ~string](from []From) []To {
	return slices.Collect(func(yield func(To) bool) {
		for _, text := range from {
			if !yield(To(text)) {
				return
			}
		}
	})
}
