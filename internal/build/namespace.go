package build

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

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

// named returns the policy with this name, or nil.
func (n *Namespace) named(name string) *builtPolicy {
	at, found := slices.BinarySearchFunc(n.policies, &builtPolicy{name: name}, byName)
	if !found {
		return nil
	}
	return n.policies[at]
}

func byName(a, b *builtPolicy) int { return strings.Compare(a.name, b.name) }

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
