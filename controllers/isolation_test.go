package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/test/apiserver"
)

// tenancy is an operator with a user of its own, which has rights in some namespaces.
type tenancy struct {
	user   string
	config *rest.Config
}

// newTenancy makes a user with the rights of an operator in each of these namespaces.
func newTenancy(t *testing.T, namespaces ...string) *tenancy {
	t.Helper()
	tenancy := &tenancy{user: "operator-in-" + namespaces[0], config: rest.CopyConfig(cluster.Config)}
	tenancy.config.Impersonate = rest.ImpersonationConfig{UserName: tenancy.user}
	for _, namespace := range namespaces {
		tenancy.give(t, namespace)
	}
	return tenancy
}

// give gives the user the rights of an operator in a namespace, as the chart's Role and RoleBinding do.
func (c *tenancy) give(t *testing.T, namespace string) {
	t.Helper()
	role := operatorRole(namespace, "get", "list", "watch", "create", "update", "patch", "delete")
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "operator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "operator"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: c.user}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := client.IgnoreAlreadyExists(cluster.Kube.Create(t.Context(), object)); err != nil {
			t.Fatal(err)
		}
	}
}

func operatorRole(namespace string, verbs ...string) *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "operator"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{"registrationpolicy.dev", "", "events.k8s.io", "coordination.k8s.io", "discovery.k8s.io"},
		Resources: []string{
			"registrationpolicies", "registrationpolicies/status", "configmaps", "events", "leases", "endpointslices", "pods",
		},
		Verbs: verbs,
	}}}
}

// take takes them away, as a tenant may do.
func (c *tenancy) take(t *testing.T, namespace string) {
	t.Helper()
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "operator"}}
	if err := cluster.Kube.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
}

func TestATenantThatTakesTheRightsAwayHoldsUpNoOtherNamespace(t *testing.T) {
	t.Parallel()
	own, team := cluster.Namespace(t), cluster.Namespace(t)
	tenant := newTenancy(t, own, team)
	scopes := policyobject.Scopes{team: {"rul1"}}
	cluster.Apply(t, own, "acme", `{allow: {domains: [acme.com]}}`)
	cluster.Apply(t, team, "team", `{deny: {domains: [bad.acme.com]}}`)
	running := startReplicaAs(t, tenant.config, own, "running", setup{watched: []string{team}, scopes: scopes})
	eventually(t, within, func() string {
		if got := answerTo(running.store, signUp("jo@bad.acme.com", "rul1")); got != "DENY Denied" {
			return got
		}
		return ""
	})
	eventuallyReady(t, cluster, own, "acme", "True InForce 1/1")

	tenant.take(t, team)
	cluster.Apply(t, team, "team", `{deny: {domains: [worse.acme.com]}}`) // makes the replicas look, and see that they may not
	eventually(t, within, func() string {
		if now, _ := running.rules.InForce(); !slices.Equal(now.Unreadable, []string{team}) {
			return fmt.Sprintf("unreadable: %q, want the namespace of the tenant", now.Unreadable)
		}
		return ""
	})
	for i := range 3 {
		domain := fmt.Sprintf("edit-%d.example", i)
		cluster.Apply(t, own, "acme", "{allow: {domains: [acme.com, "+domain+"]}}")
		eventuallyAnswers(t, within, running.store, "jo@"+domain, "ALLOW Allowed")
	}
	eventuallyReady(t, cluster, own, "acme", "True InForce 1/1")
	if got := answerTo(running.store, signUp("jo@acme.com", "rul1")); got != "ALLOW Allowed" {
		t.Errorf("a call of the tenant's scope on a replica that has read it: %s, want that of its last known rules", got)
	}

	// One that never read it serves all others, and denies the tenant's scope.
	started := startReplicaAs(t, tenant.config, own, "started", setup{watched: []string{team}, scopes: scopes})
	eventuallyAnswers(t, within, started.store, "jo@edit-2.example", "ALLOW Allowed")
	if got := answerTo(started.store, signUp("jo@acme.com", "rul1")); got != "DENY PolicyNotEnforceable" {
		t.Errorf("a call of the scope of a namespace that was never read: %s, want PolicyNotEnforceable", got)
	}
	eventually(t, within, func() string {
		if !started.report.Serving(true, false) {
			return "the replica that started has not joined"
		}
		return ""
	})
	cluster.Apply(t, own, "acme", `{allow: {domains: [acme.com, last.example]}}`)
	eventuallyReady(t, cluster, own, "acme", "True InForce 2/2")

	tenant.give(t, team)
	for _, r := range []*testReplica{running, started} {
		eventually(t, within, func() string {
			for address, want := range map[string]string{"jo@worse.acme.com": "DENY Denied", "jo@acme.com": "ALLOW Allowed"} {
				if got := answerTo(r.store, signUp(address, "rul1")); got != want {
					return fmt.Sprintf("%s, %s: %s, want %s", r.identity, address, got, want)
				}
			}
			if now, _ := r.rules.InForce(); len(now.Unreadable) > 0 {
				return fmt.Sprintf("%s: still unreadable: %q", r.identity, now.Unreadable)
			}
			return ""
		})
	}
	if !strings.Contains(running.log.String(), "Namespace cannot be read") || !strings.Contains(running.log.String(), team) {
		t.Error("no line names the namespace")
	}
	wantNoRetriesLogged(t, team)
}

// wantNoRetriesLogged fails if what was refused in a namespace was logged at each try.
func wantNoRetriesLogged(t *testing.T, namespace string) {
	t.Helper()
	for line := range strings.Lines(said.String()) {
		if strings.Contains(line, "Reconciler error") && strings.Contains(line, namespace) {
			t.Errorf("a try was logged: %s", line)
		}
	}
}

// Whoever may list and watch, and not get, sees that a list has changed and cannot read it: the watches alone look well.
func TestATenantWhoseListsCannotBeReadHoldsUpNoOtherNamespace(t *testing.T) {
	t.Parallel()
	own, team := cluster.Namespace(t), cluster.Namespace(t)
	tenant := newTenancy(t, own, team)
	cluster.Apply(t, own, "acme", `{allow: {domains: [acme.com]}}`)
	cluster.Keep(t, apiserver.List(team, "bad", map[string]string{"entries": "listed.example\n"}))
	cluster.Apply(t, team, "team", denyByList)
	r := startReplicaAs(t, tenant.config, own, "running", setup{watched: []string{team}, scopes: policyobject.Scopes{team: {"rul1"}}})
	answers := func(address, want string) {
		t.Helper()
		eventually(t, within, func() string {
			if got := answerTo(r.store, signUp(address, "rul1")); got != want {
				return fmt.Sprintf("%s: %s, want %s", address, got, want)
			}
			return ""
		})
	}
	unreadable := func(want ...string) {
		t.Helper()
		eventually(t, within, func() string {
			if now, _ := r.rules.InForce(); !slices.Equal(now.Unreadable, want) {
				return fmt.Sprintf("unreadable: %q, want %q", now.Unreadable, want)
			}
			return ""
		})
	}
	answers(onList, "DENY Denied")
	eventuallyReady(t, cluster, own, "acme", "True InForce 1/1")

	if err := cluster.Kube.Update(t.Context(), operatorRole(team, "list", "watch")); err != nil {
		t.Fatal(err)
	}
	cluster.Keep(t, apiserver.List(team, "bad", map[string]string{"entries": "worse.example\n"}))
	unreadable(team)
	if fault := r.tracker.State(team).Fault; fault == nil || !strings.Contains(fault.Error(), "ConfigMap "+team+"/bad") {
		t.Errorf("the fault is %v, which does not name the list", fault)
	}
	cluster.Apply(t, own, "acme", `{allow: {domains: [acme.com, later.example]}}`)
	eventuallyReady(t, cluster, own, "acme", "True InForce 1/1")
	answers(onList, "DENY Denied")

	if err := cluster.Kube.Update(t.Context(), operatorRole(team, "get", "list", "watch", "update", "patch", "create")); err != nil {
		t.Fatal(err)
	}
	answers("jo@worse.example", "DENY Denied")
	unreadable()
	wantNoRetriesLogged(t, team)
}

func TestANamespaceWithoutABoundIsWaitedForByName(t *testing.T) {
	t.Parallel()
	own, team := cluster.Namespace(t), cluster.Namespace(t)
	tenant := newTenancy(t, own)
	cluster.Apply(t, own, "acme", `{allow: {domains: [acme.com]}}`)
	cluster.Apply(t, team, "team", `{deny: {domains: [bad.acme.com]}}`)
	r := startReplicaAs(t, tenant.config, own, "first", setup{watched: []string{team}})
	eventually(t, within, func() string {
		if now, _ := r.rules.InForce(); !slices.Equal(now.Unreadable, []string{team}) {
			return fmt.Sprintf("unreadable: %q", now.Unreadable)
		}
		return ""
	})
	if pending := r.publisher.Pending(); !slices.Equal(pending, []string{team}) {
		t.Errorf("waits for %q, want %s: it could deny every call", pending, team)
	}
	if _, err := r.store.Load(); err == nil {
		t.Error("rules are in force without a namespace that may deny any call")
	}
	tenant.give(t, team)
	eventuallyAnswers(t, within, r.store, "jo@bad.acme.com", "DENY Denied")
	eventuallyAnswers(t, within, r.store, "jo@acme.com", "ALLOW Allowed")
}
