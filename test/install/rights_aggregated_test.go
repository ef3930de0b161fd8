package install

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// clusterRoles returns the ClusterRoles among objects by their names.
func clusterRoles(t *testing.T, objects []*unstructured.Unstructured) map[string]*rbacv1.ClusterRole {
	t.Helper()
	found := map[string]*rbacv1.ClusterRole{}
	for _, object := range objects {
		if object.GetKind() == "ClusterRole" {
			found[object.GetName()] = decoded[rbacv1.ClusterRole](t, object)
		}
	}
	return found
}

// aggregated returns the built-in roles to which a ClusterRole is added.
func aggregated(role *rbacv1.ClusterRole) []string {
	var to []string
	for label, value := range role.Labels {
		if name, found := strings.CutPrefix(label, "rbac.authorization.k8s.io/aggregate-to-"); found && value == "true" {
			to = append(to, name)
		}
	}
	slices.Sort(to)
	return to
}

// Only on request do the built-in roles include policies, and then with just the rights of the Roles for policy authors:
// "view" reads policies, "edit" and "admin" write them.
func TestTheBuiltInRolesIncludePoliciesOnlyOnRequest(t *testing.T) {
	given := needed().with(settings{"fullnameOverride": "hook", "watchNamespaces": []any{"okta", "team-a"}})
	if roles := clusterRoles(t, mustRender(t, "try", "okta", given)); len(roles) != 0 {
		t.Errorf("by default there are the ClusterRoles %v", slices.Sorted(maps.Keys(roles)))
	}
	for _, create := range []bool{true, false} { // the Roles in namespaces are a switch of their own
		objects := mustRender(t, "try", "okta", given.with(settings{"policyRoles.aggregateToDefaultRoles": true, "policyRoles.create": create}))
		roles := clusterRoles(t, objects)
		if len(roles) != 2 {
			t.Fatalf("ClusterRoles %v, want an editor and a viewer", slices.Sorted(maps.Keys(roles)))
		}
		for name, want := range map[string][]string{"editor": {"admin", "edit"}, "viewer": {"view"}} {
			role := roles["okta.hook-policy-"+name]
			if role == nil || !slices.Equal(aggregated(role), want) {
				t.Fatalf("ClusterRole okta.hook-policy-%s is %+v, want one that is added to %v", name, role, want)
			}
			if !create {
				continue
			}
			if diff := cmp.Diff(decoded[rbacv1.Role](t, find(t, objects, "Role", "hook-policy-"+name)).Rules, role.Rules); diff != "" {
				t.Errorf("rules of the Role (-), of the ClusterRole (+):\n%s", diff)
			}
		}
		for _, object := range objects {
			if object.GetKind() == "ClusterRoleBinding" {
				t.Errorf("%s binds a role in the whole cluster", where(object))
			}
		}
	}
}
