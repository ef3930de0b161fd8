package build

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// Stored provides the stored policies, as informers.Set does.
type Stored interface {
	// Policies returns the cached policies of a namespace, in any order. It must return another object for a policy that
	// has changed: Build compares the pointers.
	Policies(namespace string) []*unstructured.Unstructured
	// ReadPolicy returns a cached policy with its spec, which the cache may lack.
	ReadPolicy(ctx context.Context, cached *unstructured.Unstructured) (*unstructured.Unstructured, error)
	// RecountSpecs updates the count of how much memory the cached specs of a namespace take. policies must be all
	// policies of the namespace.
	RecountSpecs(namespace string, policies []*unstructured.Unstructured)
}

// Options configure a Builder.
type Options struct {
	// Stored provides the stored policies.
	Stored Stored
	// Lists reads and compiles the lists that policies name.
	Lists *publish.Lists
	// Publisher limits policies to the scope of their namespace (see [publish.BoundFunc]) and compiles them.
	Publisher *publish.Publisher
	// Limits are the memory limits of namespaces; nil: no limits.
	Limits budget.Limits
	// Metrics shows how much memory each namespace needs.
	Metrics *publish.Metrics
}

// Builder builds the policies of namespaces. All methods may be called concurrently, but Build only once at a time for
// the same namespace.
type Builder struct {
	options Options
	schema  *policyobject.Schema
}

// New returns a builder with these options. It fails only if the built-in schema is invalid.
func New(options Options) (*Builder, error) {
	schema, err := policyobject.NewSchema()
	if err != nil {
		return nil, err
	}
	return &Builder{options, schema}, nil
}

// Build builds a namespace. It builds again only what has changed since before, the previous result. lists provides the
// ConfigMaps of the namespace. If all policies together exceed the memory limit of the namespace, Build reads none of
// them. It then replaces them by one policy that denies all calls in the scope of the namespace (see
// [publish.BoundFunc]).
//
// Build fails if a policy or a ConfigMap cannot be read. It fails with [publish.ErrChanged] if the API server returns
// another version of a policy or ConfigMap than the watch has delivered last.
func (b *Builder) Build(ctx context.Context, namespace string, before *Namespace, lists publish.ConfigMaps) (*Namespace, error) {
	o := &b.options
	objects := o.Stored.Policies(namespace)
	o.Stored.RecountSpecs(namespace, objects)
	policies := before.update(objects)
	sizes := func(yield func(int64) bool) {
		for _, policy := range policies {
			if !yield(policy.size) {
				return
			}
		}
	}
	account := o.Limits.Open(namespace, sizes)
	defer func() { o.Metrics.Budget(namespace, account.Wanted(), account.Limit()) }()
	if why := account.Refusal(); why != "" {
		now := &Namespace{refused: before.refused, wanted: before.wanted}
		if before.refused == nil || sizeChanged(account.Wanted(), before.wanted) {
			now.refused, now.wanted = o.Publisher.RefuseNamespace(namespace, why), account.Wanted()
		}
		o.Lists.Forget(namespace)
		return now, nil
	}
	var read []int // the indexes of the policies that are new or name lists
	var written []*rules.Policy
	for i, policy := range policies {
		if policy.Policy == nil {
			stored, err := o.Stored.ReadPolicy(ctx, policy.cached)
			if err != nil {
				return nil, err
			}
			converted := b.schema.Convert(ctx, stored)
			read, written = append(read, i), append(written, &converted)
		} else if len(policy.Written.Allow.Lists)+len(policy.Written.Deny.Lists) > 0 {
			read, written = append(read, i), append(written, &policy.Written)
		}
	}
	resolved, err := o.Lists.Refresh(ctx, namespace, lists, account, written)
	if err != nil {
		return nil, err
	}
	for n, i := range read {
		if policy := policies[i]; policy.Policy == nil || resolved[n] != &policy.Written {
			policies[i] = &builtPolicy{policy.name, policy.size, policy.cached, o.Publisher.Compile(*resolved[n])}
		}
	}
	return before.replace(policies), nil
}

// sizeChanged reports whether a size has changed by more than a fourth. In a namespace over its memory limit, the
// status of every policy names the size. If it always named the exact size, a change of one policy would rewrite the
// status of every policy.
func sizeChanged(now, before int64) bool {
	const fourth = 4
	return max(now-before, before-now) > before/fourth
}

// Changed returns the stored policies that are new or whose compiled form differs between two builds of a namespace. It
// returns all stored policies if the namespace comes over or under its memory limit, or if the policy that replaces
// them changes.
func (b *Builder) Changed(namespace string, now, before *Namespace) []types.NamespacedName {
	var names []types.NamespacedName
	if now.refused != before.refused {
		for _, policy := range b.options.Stored.Policies(namespace) {
			names = append(names, policyobject.NameOf(policy))
		}
		return names
	}
	_, added := difference(before.policies, now.policies)
	for _, policy := range added {
		if known := before.named(policy.name); known == nil || known.Policy != policy.Policy {
			names = append(names, types.NamespacedName{Namespace: namespace, Name: policy.name})
		}
	}
	return names
}
