package informers

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"registrationpolicy.dev/operator/internal/budget"
)

// A policy is cached with these fields in place of its spec and status: the decoded spec and status would take several
// times as much memory.
const (
	// cachedSpec is the spec as JSON. It is missing if the policies of the namespace exceed its memory limit.
	cachedSpec = "specJSON"
	// cachedSize is the length in bytes of the spec as JSON.
	cachedSize = "specSize"
	// cachedHash is the SHA-256 of the spec as JSON. The generation alone does not identify a spec: after a change of
	// the CustomResourceDefinition, the API server may return more or fewer fields of the same generation.
	cachedHash = "specHash"
	// cachedStatus is the status as JSON.
	cachedStatus = "statusJSON"
)

// specCache limits how much memory the cached specs of a namespace take. Set.ReadPolicy reads the other specs from the
// API server when they are needed.
type specCache struct {
	limit int64 // the memory limit of the namespace in bytes; 0: no limit
	// used is the sum of budget.PolicyCost over the cached specs. Nothing subtracts a spec that is replaced or deleted,
	// so that used is too high until the next recount.
	used atomic.Int64
}

// Compact converts a policy, in place, to the form in which it is cached, with its spec. It fails only if the spec or
// the status cannot be encoded as JSON.
func Compact(policy *unstructured.Unstructured) error {
	_, err := (&specCache{}).compact(policy)
	return err
}

// compact converts a policy, in place, to the form in which it is cached. It drops the spec if the cached specs of the
// namespace would exceed the limit. Other objects, such as a DeletedFinalStateUnknown, are returned unchanged.
func (c *specCache) compact(object any) (any, error) {
	policy, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	if status, found := policy.Object["status"]; found {
		text, err := json.Marshal(status)
		if err != nil {
			return nil, fmt.Errorf("policy %s: its status cannot be encoded as JSON", policy.GetName())
		}
		delete(policy.Object, "status")
		policy.Object[cachedStatus] = string(text)
	}
	spec, found := policy.Object["spec"]
	if !found {
		return dropUnread(object)
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("policy %s: its spec cannot be encoded as JSON", policy.GetName())
	}
	delete(policy.Object, "spec")
	hash := sha256.Sum256(text)
	policy.Object[cachedSize], policy.Object[cachedHash] = int64(len(text)), string(hash[:])
	if cost := budget.PolicyCost(int64(len(text))); c.limit == 0 || c.used.Add(cost) <= c.limit {
		policy.Object[cachedSpec] = string(text)
	}
	return dropUnread(object)
}

// recount sets used to the cost of the cached specs of policies, which must be all policies of the namespace. It does
// nothing while used is at most half of the limit, because a recount must look at every policy.
func (c *specCache) recount(policies []*unstructured.Unstructured) {
	if c.used.Load() <= c.limit/2 {
		return
	}
	var used int64
	for _, policy := range policies {
		if hasSpec(policy) {
			used += budget.PolicyCost(SpecSize(policy))
		}
	}
	c.used.Store(used)
}

// StatusJSON returns the status of a cached policy as JSON. found is false if the policy has no status or is not in the
// cached form.
func StatusJSON(policy *unstructured.Unstructured) (text string, found bool) {
	text, found = policy.Object[cachedStatus].(string)
	return text, found
}

// hasSpec reports whether the spec of a cached policy is cached as well.
func hasSpec(policy *unstructured.Unstructured) bool {
	_, cached := policy.Object[cachedSpec]
	return cached
}

// SpecSize returns the length in bytes of a cached policy's spec as JSON; 0 if it has no spec.
func SpecSize(policy *unstructured.Unstructured) int64 {
	size, _ := policy.Object[cachedSize].(int64)
	return size
}

// SpecHash returns the SHA-256 of a cached policy's spec as JSON; "" if it has no spec.
func SpecHash(policy *unstructured.Unstructured) string {
	hash, _ := policy.Object[cachedHash].(string)
	return hash
}

// SameSpec reports whether two cached policies are versions of the same object with the same spec.
func SameSpec(a, b *unstructured.Unstructured) bool {
	return a.GetUID() == b.GetUID() && a.GetGeneration() == b.GetGeneration() && SpecHash(a) == SpecHash(b)
}

// WithSpec returns a copy of a cached policy with its spec decoded and without its status. If the spec is not cached it
// returns the policy unchanged. It fails only if the cached spec cannot be decoded.
func WithSpec(policy *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	text, cached := policy.Object[cachedSpec].(string)
	if !cached {
		return policy, nil
	}
	var spec any
	if err := utiljson.Unmarshal([]byte(text), &spec); err != nil {
		return nil, fmt.Errorf("policy %s: its cached spec cannot be decoded", policy.GetName())
	}
	stored := &unstructured.Unstructured{Object: maps.Clone(policy.Object)}
	for _, field := range []string{cachedSpec, cachedSize, cachedHash, cachedStatus} {
		delete(stored.Object, field)
	}
	stored.Object["spec"] = spec
	return stored, nil
}
