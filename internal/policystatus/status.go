package policystatus

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	strictjson "sigs.k8s.io/json"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// Status is the part of a policy's status that this operator writes.
type Status struct {
	v1alpha1.RegistrationPolicyStatus
}

// ownConditions are the conditions that this operator writes.
var ownConditions = []v1alpha1.ConditionType{v1alpha1.ConditionAccepted, v1alpha1.ConditionReady, v1alpha1.ConditionOverruled}

// Stored returns the part of an object's status that this operator writes, without the conditions of other
// writers. A status that cannot be decoded counts as empty, and is written again.
func Stored(object *unstructured.Unstructured) Status {
	var status Status
	var err error
	if text, cached := informers.StatusJSON(object); cached {
		err = strictjson.UnmarshalCaseSensitivePreserveInts([]byte(text), &status.RegistrationPolicyStatus)
	} else {
		stored, _ := object.Object["status"].(map[string]any)
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(stored, &status.RegistrationPolicyStatus)
	}
	if err != nil {
		return Status{}
	}
	status.Conditions = slices.DeleteFunc(status.Conditions, func(condition metav1.Condition) bool {
		return !slices.Contains(ownConditions, v1alpha1.ConditionType(condition.Type))
	})
	return status
}

// FirstSeenVersion returns the resourceVersion at which the leader first saw a policy's generation, from the policy's
// status; "" if unknown.
func FirstSeenVersion(object *unstructured.Unstructured) string {
	if replicas := Stored(object).Replicas; replicas != nil {
		return replicas.FirstSeenResourceVersion
	}
	return ""
}

// IsReady reports whether the condition Ready is True for a policy's current generation.
func IsReady(object *unstructured.Unstructured) bool {
	ready := meta.FindStatusCondition(Stored(object).Conditions, string(v1alpha1.ConditionReady))
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == object.GetGeneration()
}

// After adds observedGeneration and the transition times of the conditions to a computed status. old is the status that
// the result replaces: a condition with the same status in both keeps its transition time. changed reports whether the
// condition Accepted changes.
func After(old, computed Status, generation int64) (after Status, changed bool) {
	after = computed
	after.ObservedGeneration = generation
	after.Conditions = nil
	for _, condition := range computed.Conditions {
		previous := meta.FindStatusCondition(old.Conditions, condition.Type)
		if previous != nil {
			after.Conditions = append(after.Conditions, *previous)
		}
		same := previous != nil &&
			previous.Status == condition.Status && previous.Reason == condition.Reason && previous.Message == condition.Message
		if condition.Type == string(v1alpha1.ConditionAccepted) {
			changed = !same
		}
		condition.ObservedGeneration = generation
		meta.SetStatusCondition(&after.Conditions, condition)
	}
	return after, changed
}

// Equal reports whether two statuses are equal.
func (s Status) Equal(o Status) bool {
	return equality.Semantic.DeepEqual(s, o)
}

// EqualExceptReady reports whether two statuses are equal, except for the replicas and the condition Ready.
func (s Status) EqualExceptReady(o Status) bool {
	rest := func(s Status) Status {
		s.Replicas = nil
		s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(condition metav1.Condition) bool {
			return condition.Type == string(v1alpha1.ConditionReady)
		})
		return s
	}
	return rest(s).Equal(rest(o))
}

// Accepted returns the condition Accepted, which a status from [After] has.
func (s Status) Accepted() metav1.Condition {
	return *meta.FindStatusCondition(s.Conditions, string(v1alpha1.ConditionAccepted))
}

// ApplyConfiguration returns the configuration for a server-side apply of the status. The configuration has the
// resourceVersion from which the status was computed. Otherwise a leader that lost its lease without noticing could
// overwrite the status of the next leader. The configuration is unstructured because the client decodes the response
// into it, and the response is the whole policy.
func (s Status) ApplyConfiguration(object *unstructured.Unstructured) (runtime.ApplyConfiguration, error) {
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&s.RegistrationPolicyStatus)
	if err != nil {
		return nil, fmt.Errorf("write the status: %w", err)
	}
	configuration := policyobject.New()
	configuration.SetNamespace(object.GetNamespace())
	configuration.SetName(object.GetName())
	configuration.SetResourceVersion(object.GetResourceVersion())
	configuration.Object["status"] = status
	return client.ApplyConfigurationFromUnstructured(configuration), nil
}
