package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

const (
	own         = "registration" // the operator's own namespace
	endpointsOf = "hook"
	// The objects in every namespace.
	policyName  = "customers"
	listName    = "partners"
	bindingName = "operator"
)

// cluster is a control plane with namespaces that an operator may watch.
type cluster struct {
	plane   *envtest.Environment
	admin   client.Client
	version string // of the API server
	role    rbacv1.Role
	users   []*rest.Config // one for each replica
	created int            // number of namespaces, including the operator's own
	edits   int
}

// startCluster starts a control plane with the operator's own namespace, and a user with the operator's rights for each
// replica.
func startCluster(ctx context.Context, replicas int) (_ *cluster, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set: write the directory that test/controlplane/provide.sh prints")
	}
	ctrl.SetLogger(logr.Discard())
	etcd := &envtest.Etcd{}
	// As kubeadm does. Without it, an API server before 1.31 sends no bookmarks for resources that do not change.
	etcd.Configure().Set("watch-progress-notify-interval", "5s")
	c := &cluster{plane: &envtest.Environment{
		ControlPlane:      envtest.ControlPlane{Etcd: etcd},
		CRDDirectoryPaths: []string{filepath.Join("..", "config", "crd", "bases")}, ErrorIfCRDPathMissing: true,
		ControlPlaneStartTimeout: startTime,
	}}
	config, err := c.plane.Start()
	if err != nil {
		return nil, fmt.Errorf("start the control plane: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.plane.Stop())
		}
	}()
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	if c.admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	if c.version, err = serverVersion(ctx, config); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join("..", "config", "rbac", "role.yaml"))
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(text, &c.role); err != nil {
		return nil, err
	}
	for i := range replicas {
		user, err := c.plane.AddUser(envtest.User{Name: replicaName(i)}, config)
		if err != nil {
			return nil, err
		}
		c.users = append(c.users, user.Config())
	}
	return c, c.create(ctx, 1)
}

func serverVersion(ctx context.Context, config *rest.Config) (string, error) {
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = clientgoscheme.Codecs.WithoutConversion()
	server, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return "", err
	}
	text, err := server.Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return "", err
	}
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	err = yaml.Unmarshal(text, &version)
	return version.GitVersion, err
}

// namespaceName returns the name of the i-th namespace. 0 is the operator's own.
func namespaceName(i int) string {
	if i == 0 {
		return own
	}
	return fmt.Sprintf("team-%03d", i)
}

// source returns the Okta source to which the i-th namespace is bounded. The operator's own namespace is not bounded.
func source(i int) string { return fmt.Sprintf("rulTeam%03d", i) }

// namespaces returns the names of the first n namespaces.
func namespaces(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = namespaceName(i)
	}
	return names
}

// create creates namespaces until there are n, each with the operator's rights, a policy and its list.
func (c *cluster) create(ctx context.Context, n int) error {
	for ; c.created < n; c.created++ {
		name := namespaceName(c.created)
		role := c.role.DeepCopy()
		role.Namespace = name
		policy := &v1alpha1.RegistrationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: policyName}}
		appliesTo := ""
		if c.created > 0 {
			appliesTo = "appliesTo: {sources: [" + source(c.created) + "]}, "
		}
		if err := yaml.UnmarshalStrict(fmt.Appendf(nil, "{%sallow: {domains: [acme.com], lists: [{configMap: {name: %s}}]}}",
			appliesTo, listName), &policy.Spec); err != nil {
			return err
		}
		for _, object := range []client.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, role, c.binding(name),
			&corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: name, Name: listName, Labels: map[string]string{"registrationpolicy.dev/list": "true"},
				},
				Data: map[string]string{"entries": "partner.example\n"},
			},
			policy,
		} {
			if err := c.admin.Create(ctx, object); err != nil {
				return fmt.Errorf("create %s in %s: %w", object.GetName(), name, err)
			}
		}
	}
	return nil
}

// binding returns the RoleBinding that grants all replicas the operator's rights in a namespace.
func (c *cluster) binding(namespace string) *rbacv1.RoleBinding {
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: bindingName},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: c.role.Name},
	}
	for i := range c.users {
		binding.Subjects = append(binding.Subjects,
			rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: replicaName(i)})
	}
	return binding
}

// edit changes the policy of a namespace.
func (c *cluster) edit(ctx context.Context, namespace string) error {
	c.edits++
	policy := &v1alpha1.RegistrationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: policyName}}
	patch := fmt.Appendf(nil, `{"spec":{"allow":{"domains":["acme.com","edit-%d.example.com"]}}}`, c.edits)
	return c.admin.Patch(ctx, policy, client.RawPatch("application/merge-patch+json", patch))
}

// ready reports whether a policy is Ready in its newest generation.
func ready(policy *v1alpha1.RegistrationPolicy) bool {
	condition := meta.FindStatusCondition(policy.Status.Conditions, string(v1alpha1.ConditionReady))
	return condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == policy.Generation
}

// policy returns the policy of a namespace.
func (c *cluster) policy(ctx context.Context, namespace string) (*v1alpha1.RegistrationPolicy, error) {
	policy := &v1alpha1.RegistrationPolicy{}
	return policy, c.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: policyName}, policy)
}

// awaitReady waits until the policy of a namespace is Ready.
func (c *cluster) awaitReady(ctx context.Context, namespace string) error {
	return until(ctx, pollInterval, "Ready of the policy in "+namespace, func(ctx context.Context) (bool, error) {
		policy, err := c.policy(ctx, namespace)
		return err == nil && ready(policy), err
	})
}

// awaitAllReady waits until the policies of the first n namespaces are Ready.
func (c *cluster) awaitAllReady(ctx context.Context, n int) error {
	watched := namespaces(n)
	return until(ctx, listInterval, "Ready of all policies", func(ctx context.Context) (bool, error) {
		var policies v1alpha1.RegistrationPolicyList
		if err := c.admin.List(ctx, &policies); err != nil {
			return false, err
		}
		for i := range policies.Items {
			policy := &policies.Items[i]
			if slices.Contains(watched, policy.Namespace) && !ready(policy) {
				return false, nil
			}
		}
		return true, nil
	})
}

// write updates an unrelated object several times per second until ctx ends, so that resourceVersions increase as in a
// real cluster.
func (c *cluster) write(ctx context.Context, rate int) error {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "somebody-else"}}
	if err := client.IgnoreAlreadyExists(c.admin.Create(ctx, lease)); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	go func() {
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			patch := fmt.Appendf(nil, `{"spec":{"holderIdentity":"%d"}}`, n)
			_ = c.admin.Patch(ctx, lease, client.RawPatch("application/merge-patch+json", patch)) // an error does not matter: the next patch follows
		}
	}()
	return nil
}

// until polls a condition until it is true, ctx ends or waitTimeout is over.
func until(ctx context.Context, interval time.Duration, what string, condition func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		done, err := condition(ctx)
		if done {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, errors.Join(context.Cause(ctx), err))
		}
	}
}
