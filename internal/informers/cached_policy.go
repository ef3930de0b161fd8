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

// The fields that a cached policy has in place of its spec and status, which take several times as much memory when they are decoded.
const (
	// cachedSpec is the spec as JSON. It is left out of what is more than its namespace may take.
	cachedSpec = "specJSON"
	// cachedSize is the length of that.
	cachedSize = "specSize"
	// cachedSum is its SHA-256: the API server may show more or fewer fields of one generation, under another definition.
	cachedSum = "specSum"
	// cachedStatus is the status as JSON.
	cachedStatus = "statusJSON"
)

// specCache bounds how much of a namespace's specs is cached. What is beyond is read again if it is needed after all.
type specCache struct {
	limit int64        // of PolicyCost, together; 0: none
	kept  atomic.Int64 // no less than what is cached
}

// Compact brings a policy into the form in which it is cached, with its spec.
func Compact(policy *unstructured.Unstructured) error {
	_, err := (&specCache{}).compact(policy)
	return err
}

// compact brings a policy into the form in which it is cached.
func (c *specCache) compact(object any) (any, error) {
	policy, ok := object.(*unstructured.Unstructured)
	if !ok {
		return object, nil
	}
	if status, found := policy.Object["status"]; found {
		text, err := json.Marshal(status)
		if err != nil {
			return nil, fmt.Errorf("policy %s: its status is no JSON", policy.GetName())
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
		return nil, fmt.Errorf("policy %s: its spec is no JSON", policy.GetName())
	}
	delete(policy.Object, "spec")
	sum := sha256.Sum256(text)
	policy.Object[cachedSize], policy.Object[cachedSum] = int64(len(text)), string(sum[:])
	if cost := budget.PolicyCost(int64(len(text))); c.limit == 0 || c.kept.Add(cost) <= c.limit {
		policy.Object[cachedSpec] = string(text)
	}
	return dropUnread(object)
}

// count corrects what is cached to that of these policies, which are all of the namespace.
func (c *specCache) count(policies []*unstructured.Unstructured) {
	var kept int64
	for _, policy := range policies {
		if hasSpec(policy) {
			kept += budget.PolicyCost(SpecSize(policy))
		}
	}
	c.kept.Store(kept)
}

// StatusJSON returns the status of a cached policy as JSON; it is not found where the policy has none, or was not cached.
func StatusJSON(policy *unstructured.Unstructured) (text string, found bool) {
	text, found = policy.Object[cachedStatus].(string)
	return text, found
}

func hasSpec(policy *unstructured.Unstructured) bool {
	_, cached := policy.Object[cachedSpec]
	return cached
}

// SpecSize returns the length in bytes of a cached policy's spec as JSON.
func SpecSize(policy *unstructured.Unstructured) int64 {
	size, _ := policy.Object[cachedSize].(int64)
	return size
}

// SpecSum tells specs apart.
func SpecSum(policy *unstructured.Unstructured) string {
	sum, _ := policy.Object[cachedSum].(string)
	return sum
}

// WithSpec returns a cached policy with its spec decoded and without its status. What it returns is not cached.
func WithSpec(policy *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	text, cached := policy.Object[cachedSpec].(string)
	if !cached {
		return policy, nil
	}
	var spec any
	if err := utiljson.Unmarshal([]byte(text), &spec); err != nil {
		return nil, fmt.Errorf("policy %s: its cached spec cannot be read", policy.GetName())
	}
	stored := &unstructured.Unstructured{Object: maps.Clone(policy.Object)}
	for _, field := range []string{cachedSpec, cachedSize, cachedSum, cachedStatus} {
		delete(stored.Object, field)
	}
	stored.Object["spec"] = spec
	return stored, nil
}
