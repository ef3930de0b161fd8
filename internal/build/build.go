package build

import (
	"context"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// Options configure a Builder.
type Options struct {
	// Watches provides the stored policies.
	Watches *informers.Set
	// Lists resolves the lists that policies name.
	Lists *publish.Lists
	// Publisher compiles policies, limited to the sources that their namespace may decide.
	Publisher *publish.Publisher
	// Limits are the memory limits of namespaces; nil: no limits.
	Limits budget.Limits
	// Metrics has the memory that each namespace needs.
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

// Namespace is the result of building a namespace. It is immutable. The zero value stands for a namespace that was not
// built yet.
type Namespace struct {
	byName   map[string]*builtPolicy
	compiled []*publish.Policy
	// refused replaces all policies if they are over the budget of the namespace; nil if they fit. wanted is how many
	// bytes of memory the policies needed when refused was made.
	refused *publish.Policy
	wanted  int64
}

// builtPolicy is the result of building one version of a policy object.
type builtPolicy struct {
	// object is the policy in the form in which package informers caches it, with its spec.
	object *unstructured.Unstructured
	*publish.Policy
}

// Build builds a namespace. It builds again only what has changed since before, the previous result. lists provides the
// ConfigMaps of the namespace. If all policies together exceed the memory limit of the namespace, Build reads none of
// them, and replaces them by one policy that denies all calls that the namespace may decide.
//
// Build fails if a policy or a ConfigMap cannot be read. It fails with [publish.ErrChanged] if the API server returns
// another version of it than the watch has delivered last.
func (b *Builder) Build(ctx context.Context, namespace string, before *Namespace, lists publish.ConfigMaps) (*Namespace, error) {
	o := &b.options
	objects := o.Watches.Policies(namespace)
	o.Watches.RecountSpecs(namespace, objects)
	sizes := make([]int64, len(objects))
	for i, object := range objects {
		sizes[i] = informers.SpecSize(object)
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
	policies := make([]*rules.Policy, len(objects))
	for i, object := range objects {
		if known := before.byName[object.GetName()]; known.isBuiltFrom(object) {
			policies[i] = &known.Written
			continue
		}
		stored, err := o.Watches.ReadPolicy(ctx, object)
		if err != nil {
			return nil, err
		}
		converted := b.schema.Convert(ctx, stored.Whole)
		objects[i], policies[i] = stored.Cached, &converted
	}
	resolved, err := o.Lists.Refresh(ctx, namespace, lists, account, policies)
	if err != nil {
		return nil, err
	}
	now := &Namespace{byName: make(map[string]*builtPolicy, len(objects)), compiled: make([]*publish.Policy, len(objects))}
	for i, object := range objects {
		built := before.byName[object.GetName()]
		switch {
		case built == nil || policies[i] != &built.Written: // a new version of the object
			built = &builtPolicy{object, o.Publisher.Compile(*resolved[i])}
		case resolved[i] != &built.Written: // the same object with other lists
			built = &builtPolicy{built.object, o.Publisher.Compile(*resolved[i])}
		}
		now.byName[object.GetName()] = built
		now.compiled[i] = built.Policy
	}
	return now, nil
}

// sizeChanged reports whether a size has changed by more than a fourth. In a namespace over its memory limit, the
// status of every policy names the size. If it named every size exactly, each change of one policy would rewrite all.
func sizeChanged(now, before int64) bool {
	const fourth = 4
	return max(now-before, before-now) > before/fourth
}

// isBuiltFrom reports whether the policy was built from the spec of the object. Its status may have changed since.
func (b *builtPolicy) isBuiltFrom(object *unstructured.Unstructured) bool {
	return b != nil && informers.SameSpec(b.object, object)
}

// SameLists reports whether two versions of a policy name the same lists with the same contents.
func SameLists(a, b *rules.Policy) bool {
	return slices.Equal(a.Allow.Lists, b.Allow.Lists) && slices.Equal(a.Deny.Lists, b.Deny.Lists)
}

// Policies returns the compiled policies, in the order of their names.
func (n *Namespace) Policies() []*publish.Policy {
	if n.refused != nil {
		return []*publish.Policy{n.refused}
	}
	return n.compiled
}

// Policy returns the policy that was built from this version of the object; ok is false if that version was not built.
// For each policy of a namespace over its memory limit, it returns the policy that replaces all of them.
func (n *Namespace) Policy(object *unstructured.Unstructured) (policy *publish.Policy, ok bool) {
	if n.refused != nil {
		return n.refused, true
	}
	known := n.byName[object.GetName()]
	if !known.isBuiltFrom(object) {
		return nil, false
	}
	return known.Policy, true
}

// Equal reports whether two builds have the same policies, so that publishing one in place of the other has no effect.
func (n *Namespace) Equal(o *Namespace) bool {
	return n.refused == o.refused && maps.EqualFunc(n.byName, o.byName, samePolicy)
}

func samePolicy(a, b *builtPolicy) bool { return a.Policy == b.Policy }

// Changed returns the policies that two builds of a namespace built differently, except for deleted ones. If the
// namespace comes under or over its memory limit, it returns all policies that are stored now.
func (b *Builder) Changed(namespace string, now, before *Namespace) []types.NamespacedName {
	var names []types.NamespacedName
	if now.refused != before.refused {
		for _, policy := range b.options.Watches.Policies(namespace) {
			names = append(names, policyobject.NameOf(policy))
		}
		return names
	}
	for name, policy := range now.byName {
		if known := before.byName[name]; known == nil || !samePolicy(known, policy) {
			names = append(names, types.NamespacedName{Namespace: namespace, Name: name})
		}
	}
	return names
}
