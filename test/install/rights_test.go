package install

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/test/fixture"
)

const (
	// hookSecret and hookKey name the credential in all tests.
	hookSecret, hookKey = "registration-hook-auth", "okta"
	hookCredential      = "a-credential-of-the-tests-of-the-installation"

	everywhere = "" // in place of a namespace: the whole cluster
)

// The operator's rights, in addition to those of every ServiceAccount.
var (
	operatorWatches = []string{
		"get /configmaps", "list /configmaps", "watch /configmaps",
		"create events.k8s.io/events", "patch events.k8s.io/events",
		"get registrationpolicy.dev/registrationpolicies", "list registrationpolicy.dev/registrationpolicies",
		"watch registrationpolicy.dev/registrationpolicies", "patch registrationpolicy.dev/registrationpolicies/status",
	}
	// Rights in its own namespace: for the leader election, for its reports (Leases), and to see which replicas are
	// serving.
	operatorElects = []string{
		"create coordination.k8s.io/leases", "get coordination.k8s.io/leases", "update coordination.k8s.io/leases",
		"list coordination.k8s.io/leases", "delete coordination.k8s.io/leases",
		"get /pods", "list discovery.k8s.io/endpointslices",
	}
	viewerRights = []string{
		"get registrationpolicy.dev/registrationpolicies", "list registrationpolicy.dev/registrationpolicies",
		"watch registrationpolicy.dev/registrationpolicies", "get registrationpolicy.dev/registrationpolicies/status",
	}
	editorRights = append(slices.Clone(viewerRights),
		"create registrationpolicy.dev/registrationpolicies", "update registrationpolicy.dev/registrationpolicies",
		"patch registrationpolicy.dev/registrationpolicies", "delete registrationpolicy.dev/registrationpolicies",
		"deletecollection registrationpolicy.dev/registrationpolicies",
	)
)

// A cluster with the kustomization and two releases of the chart. One release watches only its own namespace, the other
// also a second one.
func TestEveryInstallationHasExactlyTheRightsThatItsWorkNeeds(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	c := r.cluster
	for _, name := range []string{"registration-policy", "east", "west", "team-a", "nobodys"} {
		c.namespace(t, name)
	}
	for _, name := range []string{"registration-policy", "east", "west"} {
		c.secret(t, name, hookSecret, map[string]string{hookKey: hookCredential})
	}
	r.runMarked(t, markOwn)
	install := func(release, namespace string, settings ...string) {
		args := []string{"install", release, chartDir, "--namespace", namespace, "--set", "crds.install=false,auth.existingSecret=" + hookSecret}
		c.helm(t, append(args, settings...)...)
	}
	install("registration-policy-operator", "east")
	install("signup", "west", "--set", "watchNamespaces={west,team-a},listSync.enabled=true,"+
		"listSync.lists[0].name=disposable,listSync.lists[0].url=https://lists.example.com/a,listSync.lists[0].namespace=team-a")

	const kustomized, first, second = "registration-policy-operator", "registration-policy-operator", "signup-registration-policy-operator"
	scopes := []string{everywhere, "registration-policy", "east", "west", "team-a", "nobodys", "kube-system"}
	questions := c.questions(t, scopes)
	// The rights of every authenticated user: to ask about itself, and to read which APIs the server has.
	anybody := c.allowed(t, account("nobodys", "nobody"), questions)

	installations := []struct {
		about, namespace, name string
		watched                []string
	}{
		{"the kustomization", "registration-policy", kustomized, []string{"registration-policy"}},
		{"a release for its own namespace", "east", first, []string{"east"}},
		{"a release for two namespaces", "west", second, []string{"west", "team-a"}},
	}
	for _, in := range installations {
		t.Run(in.about+" may do nothing else", func(t *testing.T) {
			want := map[string][]string{in.namespace: slices.Clone(operatorElects)}
			for _, watched := range in.watched {
				want[watched] = append(want[watched], operatorWatches...)
			}
			c.wantRights(t, account(in.namespace, in.name), questions, anybody, want)
		})
		t.Run(in.about+" does all its work", func(t *testing.T) {
			for _, watched := range in.watched {
				c.wantWork(t, r.node, watched, in.namespace, in.name)
			}
			c.wantLease(t, in.namespace, in.name)
			c.wantIdentity(t, r.node, in.namespace, in.name)
		})
		for role, rights := range map[string][]string{"editor": editorRights, "viewer": viewerRights} {
			t.Run("the "+role+" of "+in.about, func(t *testing.T) {
				want := map[string][]string{}
				for _, watched := range in.watched {
					name := in.name
					if watched != in.namespace {
						name = in.namespace + "." + in.name
					}
					c.bind(t, watched, name+"-policy-"+role, in.namespace+"-"+role)
					want[watched] = rights
				}
				c.wantRights(t, authorizationv1.SubjectAccessReviewSpec{
					User: in.namespace + "-" + role, Groups: []string{"system:authenticated"},
				}, within(questions, append([]string{everywhere, "nobodys"}, in.watched...)), anybody, want)
			})
		}
	}
	t.Run("what synchronises lists may do nothing else", func(t *testing.T) {
		c.wantRights(t, account("west", second+listSyncSuffix), questions, anybody, map[string][]string{"team-a": listSyncRights})
	})
	t.Run("what synchronises lists does all its work", func(t *testing.T) { c.wantListSync(t, "west", "team-a", second+listSyncSuffix) })
	for _, role := range []string{"view", "edit", "admin"} {
		t.Run("the built-in role "+role+" has no right to policies", func(t *testing.T) {
			rules := c.aggregated(t, role)
			if len(rules) == 0 {
				t.Fatal("nothing is aggregated into it: the test looks at the wrong thing")
			}
			for _, rule := range rules {
				if slices.ContainsFunc(rule.APIGroups, func(group string) bool { return group == "*" || group == v1alpha1.GroupVersion.Group }) {
					t.Errorf("it has %+v", rule)
				}
			}
		})
	}
}

// question is a request, for which the API server is asked whether it is allowed.
type question struct {
	scope, verb string
	resource    schema.GroupResource
	subresource string
	url         string // in place of a resource
}

func (q question) right() string {
	if q.url != "" {
		return q.verb + " " + q.url
	}
	right := q.verb + " " + q.resource.Group + "/" + q.resource.Resource
	if q.subresource != "" {
		right += "/" + q.subresource
	}
	return right
}

// ownRights are verbs that are no requests but additional rights on a resource.
var ownRights = map[string][]string{
	"roles": {"bind", "escalate"}, "clusterroles": {"bind", "escalate"}, "serviceaccounts": {"impersonate"},
	"certificatesigningrequests": {"approve", "sign", "attest"},
}

// questions returns all verbs on all resources of the API server, in all scopes, and on some URLs.
func (c *cluster) questions(t *testing.T, scopes []string) []question {
	t.Helper()
	_, lists, err := c.clientset.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	verbs := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	var all []question
	seen := map[question]bool{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range list.APIResources {
			name, sub, _ := strings.Cut(resource.Name, "/")
			asked := slices.Concat(verbs, ownRights[name])
			if sub != "" {
				asked = resource.Verbs // other verbs have no effect on this resource
			}
			for _, scope := range scopes {
				if !resource.Namespaced && scope != everywhere {
					continue
				}
				for _, verb := range asked {
					q := question{scope: scope, verb: verb, resource: version.WithResource(name).GroupResource(), subresource: sub}
					if !seen[q] { // a resource may exist in several versions
						seen[q] = true
						all = append(all, q)
					}
				}
			}
		}
	}
	for _, resource := range []string{"users", "groups"} { // for impersonation; the API server does not list these
		all = append(all, question{verb: "impersonate", resource: schema.GroupResource{Resource: resource}})
	}
	for _, url := range []string{"/metrics", "/logs", "/debug/pprof/", "/healthz", "/readyz", "/api", "/apis", "/version"} {
		all = append(all, question{verb: "get", url: url})
	}
	return all
}

// within returns the questions in some scopes.
func within(questions []question, scopes []string) []question {
	return slices.DeleteFunc(slices.Clone(questions), func(q question) bool { return !slices.Contains(scopes, q.scope) })
}

// account returns a ServiceAccount as the subject of an access review.
func account(namespace, name string) authorizationv1.SubjectAccessReviewSpec {
	return authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + namespace + ":" + name,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
}

// allowed returns by scope the requests that the API server would allow.
func (c *cluster) allowed(t *testing.T, who authorizationv1.SubjectAccessReviewSpec, questions []question) map[string][]string {
	t.Helper()
	const atOnce = 16 // more concurrent requests are not faster on a test machine
	var mu sync.Mutex
	var wait sync.WaitGroup
	rights := map[string][]string{}
	for part := range slices.Chunk(questions, len(questions)/atOnce+1) {
		wait.Go(func() {
			for _, q := range part {
				may, err := c.ask(t.Context(), who, q)
				mu.Lock()
				if err != nil {
					t.Errorf("%s in %q: %v", q.right(), q.scope, err)
				} else if may {
					rights[q.scope] = append(rights[q.scope], q.right())
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return rights
}

func (c *cluster) ask(ctx context.Context, who authorizationv1.SubjectAccessReviewSpec, q question) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: who}
	if q.url != "" {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: q.url, Verb: q.verb}
	} else {
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Namespace: q.scope, Verb: q.verb, Group: q.resource.Group, Resource: q.resource.Resource, Subresource: q.subresource,
		}
	}
	answer, err := c.clientset.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	return err == nil && answer.Status.Allowed, err
}

// wantRights compares the rights of a user, without those of every user, with the wanted ones.
func (c *cluster) wantRights(
	t *testing.T, who authorizationv1.SubjectAccessReviewSpec, questions []question, anybody, want map[string][]string,
) {
	t.Helper()
	got := c.allowed(t, who, questions)
	for _, scope := range slices.Sorted(maps.Keys(got)) {
		for _, right := range got[scope] {
			if !slices.Contains(want[scope], right) && !slices.Contains(anybody[scope], right) {
				t.Errorf("may %s in namespace %q, and needs not", right, scope)
			}
		}
	}
	for scope, rights := range want {
		for _, right := range rights {
			if !slices.Contains(got[scope], right) {
				t.Errorf("may not %s in namespace %q", right, scope)
			}
		}
	}
}

// bind gives a user a Role.
func (c *cluster) bind(t *testing.T, namespace, role, user string) {
	t.Helper()
	err := c.kube.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// aggregated returns the rules that kube-controller-manager, which does not run here, would add to a built-in
// ClusterRole.
func (c *cluster) aggregated(t *testing.T, name string) []rbacv1.PolicyRule {
	t.Helper()
	var roles rbacv1.ClusterRoleList
	if err := c.kube.List(t.Context(), &roles); err != nil {
		t.Fatal(err)
	}
	var rules []rbacv1.PolicyRule
	entered := map[string]bool{}
	var enter func(role *rbacv1.ClusterRole)
	enter = func(role *rbacv1.ClusterRole) {
		if entered[role.Name] {
			return
		}
		entered[role.Name] = true
		rules = append(rules, role.Rules...)
		if role.AggregationRule == nil {
			return
		}
		for _, by := range role.AggregationRule.ClusterRoleSelectors {
			selector, err := metav1.LabelSelectorAsSelector(&by)
			if err != nil {
				t.Fatal(err)
			}
			for i := range roles.Items {
				if selector.Matches(labels.Set(roles.Items[i].Labels)) {
					enter(&roles.Items[i])
				}
			}
		}
	}
	for i := range roles.Items {
		if roles.Items[i].Name == name {
			enter(&roles.Items[i])
		}
	}
	return rules
}

// wantIdentity checks with the token in the pods that they are the ServiceAccount whose rights were checked.
func (c *cluster) wantIdentity(t *testing.T, n *node, namespace, name string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := 0
	for _, p := range n.pods {
		if p.key.Namespace != namespace {
			continue
		}
		asked++
		who, err := output(program(t, "kubectl"), "auth", "whoami", "--kubeconfig", filepath.Join(p.dir, "kubeconfig"),
			"--output", "jsonpath={.status.userInfo.username}")
		if want := account(namespace, name).User; err != nil || who != want {
			t.Errorf("%s is %q, want %q: %v", p.key, who, want, err)
		}
	}
	if asked == 0 {
		t.Errorf("no pod in %s", namespace)
	}
}

// wantWork creates a policy, and waits until the operator has written an Event and the condition Ready, and every
// replica of the Service decides by the policy. Then it deletes the policy, and waits for the Event that says what this
// allows.
func (c *cluster) wantWork(t *testing.T, n *node, namespace, release, service string) {
	t.Helper()
	policy := &v1alpha1.RegistrationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "work"}}
	policy.Spec.Allow = &v1alpha1.Allow{Domains: []v1alpha1.AllowDomain{"work.example"}}
	policy.Spec.Deny = &v1alpha1.Deny{Domains: []v1alpha1.DenyDomain{"elsewhere.example"}}
	if err := c.kube.Create(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, patience, func() string { return c.lacks(t, policy, "Accepted", "Accepted") })
	c.awaitEvent(t, namespace, "Accepted")
	fixture.Eventually(t, patience, func() string { return c.lacks(t, policy, "Ready", "InForce") })
	c.wantAllowed(t, n, release, service, "jo@work.example")
	if err := c.kube.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	c.awaitEvent(t, namespace, "DenyRemoved")
}

// wantAllowed waits until every replica allows a sign-up with an address.
func (c *cluster) wantAllowed(t *testing.T, n *node, release, service, address string) {
	t.Helper()
	fixture.Eventually(t, patience, func() string {
		endpoints, err := n.endpoints(t.Context(), release, service, "hook")
		if err != nil {
			t.Fatal(err)
		}
		if len(endpoints) != 2 {
			return fmt.Sprintf("%d replicas are ready, want 2", len(endpoints))
		}
		for _, endpoint := range endpoints {
			if err := callHook(t, endpoint, address); err != nil {
				return err.Error()
			}
		}
		return ""
	})
}

// callHook calls a replica for a sign-up. It returns an error if the sign-up is not allowed.
func callHook(t *testing.T, endpoint, address string) error {
	t.Helper()
	credential := filepath.Join(t.TempDir(), hookKey)
	if err := os.WriteFile(credential, []byte(hookCredential), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := output(program(t, "regpol"), "call", "http://"+endpoint+"/okta/registration", address,
		"--plain-http", "--credential-file="+credential)
	return err
}

// lacks returns "" if a condition of the policy's newest generation has a reason, and otherwise what it has.
func (c *cluster) lacks(t *testing.T, policy *v1alpha1.RegistrationPolicy, conditionType, reason string) string {
	t.Helper()
	if err := c.kube.Get(t.Context(), client.ObjectKeyFromObject(policy), policy); err != nil {
		t.Fatal(err)
	}
	for _, condition := range policy.Status.Conditions {
		if condition.Type == conditionType && condition.ObservedGeneration == policy.Generation {
			if condition.Reason == reason {
				return ""
			}
			return fmt.Sprintf("%s is %s: %s, want %s", policy.Name, condition.Reason, condition.Message, reason)
		}
	}
	return policy.Name + " in " + policy.Namespace + " has no condition " + conditionType + " of its generation"
}

func (c *cluster) awaitEvent(t *testing.T, namespace, reason string) {
	t.Helper()
	fixture.Eventually(t, patience, func() string {
		var list eventsv1.EventList
		if err := c.kube.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool { return e.Reason == reason && e.Regarding.Name == "work" }) {
			return ""
		}
		return "no Event " + reason + " in " + namespace
	})
}

func (c *cluster) wantLease(t *testing.T, namespace, name string) {
	t.Helper()
	fixture.Eventually(t, patience, func() string {
		var lease coordinationv1.Lease
		err := c.kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &lease)
		switch {
		case apierrors.IsNotFound(err):
			return "no lease " + name + " in " + namespace
		case err != nil:
			t.Fatal(err)
		case lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "":
			return "nobody holds the lease in " + namespace
		}
		return ""
	})
}
