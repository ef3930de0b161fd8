package api

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

// Two field managers (server-side apply) each apply one list in both fields. Neither removes the other's list. A list
// that its manager no longer applies is removed alone.
func TestListsAreSharedByFieldManagers(t *testing.T) {
	list := func(name, configMap string) map[string]any {
		reference := map[string]any{"configMap": map[string]any{"name": configMap}}
		if name != "" {
			reference["name"] = name
		}
		return reference
	}
	apply := func(owner string, list map[string]any) error {
		applied := &unstructured.Unstructured{}
		applied.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RegistrationPolicy"))
		applied.SetNamespace(namespace)
		applied.SetName("shared")
		lists := map[string]any{"lists": []any{list}}
		applied.Object["spec"] = map[string]any{"allow": lists, "deny": lists}
		return kube.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner(owner))
	}
	names := func() [2][]string {
		t.Helper()
		var names [2][]string
		spec := stored(t, policy("shared")).Spec
		for i, lists := range [][]v1alpha1.ListReference{spec.Allow.Lists, spec.Deny.Lists} {
			for _, list := range lists {
				names[i] = append(names[i], fmt.Sprintf("%s=%s", list.Name, list.ConfigMap.Name))
			}
		}
		return names
	}
	same := func(lists ...string) [2][]string { return [2][]string{lists, lists} }

	if err := apply("first", list("", "customers")); err != nil { // without a name, as for a single list
		t.Fatal(err)
	}
	removeAtEnd(t, policy("shared"))
	if err := apply("second", list("partners", "partners")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(same("unnamed=customers", "partners=partners"), names()); diff != "" {
		t.Errorf("after both applied (-want +got):\n%s", diff)
	}
	if err := apply("first", list("", "clients")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(same("unnamed=clients", "partners=partners"), names()); diff != "" {
		t.Errorf("after the first changed its own (-want +got):\n%s", diff)
	}
	if err := apply("third", list("partners", "other")); !apierrors.IsConflict(err) {
		t.Errorf("a third manager that means another list by a name in use: %v, want a conflict", err)
	}
	if err := apply("second", list("friends", "friends")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(same("unnamed=clients", "friends=friends"), names()); diff != "" {
		t.Errorf("after the second exchanged its own (-want +got):\n%s", diff)
	}
}

// The operator sets fewer conditions. The limit must leave room for those of later versions.
func TestSixteenConditionsFit(t *testing.T) {
	object := policy("conditions", "acme.com")
	if err := create(t, kube, object); err != nil {
		t.Fatal(err)
	}
	set := func(count int) error {
		return retry.RetryOnConflict(retry.DefaultRetry, func() error {
			object := stored(t, object)
			object.Status.Conditions = nil
			for i := range count {
				object.Status.Conditions = append(object.Status.Conditions, metav1.Condition{
					Type: fmt.Sprintf("Type%d", i), Status: metav1.ConditionTrue, Reason: "Test", LastTransitionTime: metav1.Now(),
				})
			}
			return kube.Status().Update(t.Context(), object)
		})
	}
	if err := set(16); err != nil {
		t.Errorf("16 conditions: %v", err)
	}
	if err := set(17); !apierrors.IsInvalid(err) {
		t.Errorf("17 conditions: %v, want a refusal", err)
	}
}
