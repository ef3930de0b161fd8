package build

import (
	"context"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// Stored provides the stored policies, as informers.Set does.
type Stored interface {
	// Policies returns the cached policies of a namespace, in any order. A changed policy has another pointer than
	// before, by which Build recognises the change.
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

// Namespace is the result of building a namespace. It is immutable. The zero value stands for a namespace that was not
// built yet.
type Namespace struct {
	policies []*builtPolicy    // sorted by name
	compiled []*publish.Policy // the compiled form of each element of policies
	// byCached maps the cached object of each policy to the policy. The next build finds unchanged policies by this
	// pointer. With many thousand policies, reading the name of every object would take longer than the rest of the
	// build.
	byCached map[*unstructured.Unstructured]*builtPolicy
	// refused replaces all policies if they exceed the memory limit of the namespace; nil if they fit. wanted is how
	// many bytes of memory the policies needed when refused was made.
	refused *publish.Policy
	wanted  int64
}

// builtPolicy is the result of building one version of a policy object.
type builtPolicy struct {
	name string
	size int64 // of the spec as JSON, in bytes
	// cached is the object that the informer had at the build. The informer replaces it when the policy changes.
	cached *unstructured.Unstructured
	*publish.Policy
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

// update returns one builtPolicy for each of the cached objects, sorted by name. objects must be all policies of the
// namespace. If a policy is new, or its spec differs from the one in n, it must be compiled: its field Policy is nil.
func (n *Namespace) update(objects []*unstructured.Unstructured) []*builtPolicy {
	var changed []*builtPolicy
	replaced := 0
	for _, object := range objects {
		if n.byCached[object] != nil {
			continue
		}
		policy := &builtPolicy{name: object.GetName(), size: informers.SpecSize(object), cached: object}
		if known := n.named(policy.name); known != nil {
			replaced++
			if known.isBuiltFrom(object) { // only the status has changed
				policy.Policy = known.Policy
			}
		}
		changed = append(changed, policy)
	}
	kept := n.policies
	if len(kept)-replaced+len(changed) > len(objects) { // some were deleted
		kept = n.only(objects)
	}
	slices.SortFunc(changed, byName)
	updated := make([]*builtPolicy, 0, len(objects))
	for _, policy := range changed {
		at, found := slices.BinarySearchFunc(kept, policy, byName)
		updated = append(append(updated, kept[:at]...), policy)
		if found {
			at++
		}
		kept = kept[at:]
	}
	return append(updated, kept...)
}

// only returns the policies of n whose cached object is in objects.
func (n *Namespace) only(objects []*unstructured.Unstructured) []*builtPolicy {
	var kept []*builtPolicy
	cached := make(map[*unstructured.Unstructured]bool, len(objects))
	for _, object := range objects {
		cached[object] = true
	}
	for _, policy := range n.policies {
		if cached[policy.cached] {
			kept = append(kept, policy)
		}
	}
	return kept
}

// replace returns the namespace with policies, which are sorted by name, in place of those of n. If nothing has
// changed, it returns n itself.
func (n *Namespace) replace(policies []*builtPolicy) *Namespace {
	removed, added := difference(n.policies, policies)
	if n.refused == nil && len(removed)+len(added) == 0 {
		return n
	}
	now := &Namespace{policies: policies, compiled: make([]*publish.Policy, len(policies)), byCached: maps.Clone(n.byCached)}
	if now.byCached == nil {
		now.byCached = make(map[*unstructured.Unstructured]*builtPolicy, len(policies))
	}
	for i, policy := range policies {
		now.compiled[i] = policy.Policy
	}
	for _, policy := range removed {
		delete(now.byCached, policy.cached)
	}
	for _, policy := range added {
		now.byCached[policy.cached] = policy
	}
	return now
}

// difference compares two sets of policies by pointer. Each set is sorted by name. A policy that was built again is in
// both results.
func difference(before, after []*builtPolicy) (removed, added []*builtPolicy) {
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(before) > 0 && len(after) > 0 && before[0] == after[0]:
			before, after = before[1:], after[1:]
		case len(after) == 0 || len(before) > 0 && before[0].name <= after[0].name:
			removed, before = append(removed, before[0]), before[1:]
		default:
			added, after = append(added, after[0]), after[1:]
		}
	}
	return removed, added
}

// named returns the policy of this name; nil if there is none.
func (n *Namespace) named(name string) *builtPolicy {
	at, found := slices.BinarySearchFunc(n.policies, &builtPolicy{name: name}, byName)
	if !found {
		return nil
	}
	return n.policies[at]
}

func byName(a, b *builtPolicy) int { return strings.Compare(a.name, b.name) }

// sizeChanged reports whether a size has changed by more than a fourth. In a namespace over its memory limit, the
// status of every policy names the size. If it always named the exact size, a change of one policy would rewrite the
// status of every policy.
func sizeChanged(now, before int64) bool {
	const fourth = 4
	return max(now-before, before-now) > before/fourth
}

// isBuiltFrom reports whether the policy was built from the spec of the object. Its status may have changed since.
func (b *builtPolicy) isBuiltFrom(object *unstructured.Unstructured) bool {
	return b != nil && informers.SameSpec(b.cached, object)
}

// SameLists reports whether two versions of a policy name the same lists with the same compiled contents.
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
	known := n.named(object.GetName())
	if !known.isBuiltFrom(object) {
		return nil, false
	}
	return known.Policy, true
}

// Equal reports whether two builds have the same policies, so that publishing one in place of the other has no effect.
func (n *Namespace) Equal(o *Namespace) bool {
	return n.refused == o.refused && slices.Equal(n.compiled, o.compiled)
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
