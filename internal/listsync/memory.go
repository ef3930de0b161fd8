package listsync

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/listconfigmap"
)

// Memory is the memory use of a list in each replica of the operator, and the limit of its namespace.
type Memory struct {
	// ListBytes is the memory for the new content, including a second version during a replacement.
	ListBytes int64 `json:"listBytes"`
	// LimitBytes limits all policies and lists of the namespace together. It is 0 if no status of a policy states a
	// limit.
	LimitBytes int64 `json:"limitBytes,omitempty"`
	// OtherBytes is the memory for the policies and the other lists that they name. It is 0 without a limit.
	OtherBytes int64 `json:"otherBytes,omitempty"`
}

// listReference names a list in a policy.
type listReference struct{ configMap, key string }

// size is the size of a list that the operator reads, in bytes and lines. It is zero if the operator reads nothing.
type size struct{ bytes, lines int64 }

// checkMemory reports the memory that the new content takes. It returns refusals if the operator would refuse the list,
// or another list that fits beside the old content and not beside the new one.
func (r *run) checkMemory(ctx context.Context, policies []unstructured.Unstructured, objects []*corev1.ConfigMap) []Refusal {
	newSize := size{int64(len(r.request.Text)), int64(bytes.Count(r.request.Text, []byte{'\n'}))}
	limit := memoryLimit(policies)
	r.report.Memory = &Memory{ListBytes: newSize.cost(), LimitBytes: limit}
	if limit == 0 {
		return nil
	}
	references := referencesOf(policies)
	oldSizes := map[listReference]size{}
	newSizes := map[listReference]size{}
	for _, ref := range references {
		get, readError := r.configMapReader(ctx, nil)
		if oldSizes[ref] = sizeOf(get, ref, limit); ref.configMap == r.request.Name {
			get, _ = r.configMapReader(ctx, objects)
			if newSizes[ref] = sizeOf(get, ref, limit); newSizes[ref] != (size{}) {
				newSizes[ref] = newSize // the full size, even if the operator would stop reading at the limit
			}
		} else {
			newSizes[ref] = oldSizes[ref]
		}
		if err := readError(); err != nil {
			r.report.Warnings = append(r.report.Warnings, fmt.Sprintf("the memory of list %s is not counted: %v", ref.configMap, err))
		}
	}
	// A list that no policy names yet is counted too: a policy will probably name it soon.
	if !slices.ContainsFunc(references, func(ref listReference) bool { return ref.configMap == r.request.Name }) {
		references = append(references, listReference{configMap: r.request.Name})
		newSizes[references[len(references)-1]] = newSize
		slices.SortFunc(references, compareReferences)
	}
	oldAccount := openAccount(r.request.Namespace, limit, policies)
	fitted, _ := oldAccount.admit(references, oldSizes, r.request.Name)
	account := openAccount(r.request.Namespace, limit, policies)
	_, refused := account.admit(references, newSizes, r.request.Name)
	r.report.Memory.OtherBytes = account.otherBytes
	if refusal := account.Refusal(); refusal != "" {
		return []Refusal{{Kind: OverBudget, Text: "the operator would not read the list: " + refusal}}
	}
	var refusals []Refusal
	for _, ref := range references {
		switch left, is := refused[ref]; {
		case !is:
		case ref.configMap == r.request.Name:
			refusals = append(refusals, Refusal{Kind: OverBudget, Text: fmt.Sprintf(
				"the operator would refuse the list: it takes %s of memory (%s of text, %d lines), and of the %s that namespace %s may take, "+
					"%s are left for it: shorten the list, delete policies or other lists, or have --namespace-limits raised",
				budget.Size(newSizes[ref].cost()), budget.Size(newSizes[ref].bytes), newSizes[ref].lines,
				budget.Size(limit), r.request.Namespace, budget.Size(max(0, left)))})
		case fitted[ref]:
			refusals = append(refusals, Refusal{Kind: OverBudget, Affects: ref.configMap, Text: fmt.Sprintf(
				"the operator would refuse list %s, which takes %s of memory: beside the new content, which takes %s, %s are left for it of the "+
					"%s that namespace %s may take: shorten one of the lists, delete policies, or have --namespace-limits raised",
				ref.configMap, budget.Size(newSizes[ref].cost()), budget.Size(newSize.cost()), budget.Size(max(0, left)),
				budget.Size(limit), r.request.Namespace)})
		}
	}
	return refusals
}

func (s size) cost() int64 { return budget.ListCost(s.bytes, s.lines) }

// account is the memory of a namespace, as the operator counts it.
type account struct {
	*budget.Account
	otherBytes int64 // of policies, and of lists other than the synchronised one
}

func openAccount(namespace string, limit int64, policies []unstructured.Unstructured) *account {
	a := &account{}
	specs := make([]int64, 0, len(policies))
	for i := range policies {
		// The operator caches the spec as JSON, and counts the same bytes.
		text, err := json.Marshal(policies[i].Object["spec"])
		if err == nil && policies[i].Object["spec"] != nil {
			specs = append(specs, int64(len(text)))
		} else {
			specs = append(specs, 0)
		}
	}
	a.Account = budget.Limits{namespace: limit}.Open(namespace, specs)
	a.otherBytes = a.Wanted()
	return a
}

// admit takes lists in order as long as they fit. It returns the lists that fit, and for each other list the memory
// that was left. The list named synced does not count as other bytes.
func (a *account) admit(
	references []listReference, sizes map[listReference]size, synced string,
) (fits map[listReference]bool, left map[listReference]int64) {
	fits, left = map[listReference]bool{}, map[listReference]int64{}
	for _, ref := range references {
		list, measured := sizes[ref]
		if !measured || list == (size{}) {
			continue
		}
		if a.Check(list.bytes, list.lines) != "" {
			left[ref] = a.Left()
			continue
		}
		fits[ref] = true
		a.Take(list.bytes, list.lines)
		if ref.configMap != synced {
			a.otherBytes += list.cost()
		}
	}
	return fits, left
}

// memoryLimit returns the memory limit of a namespace from the status of its policies, where the operator writes it. If
// the values differ, the one written last counts. It returns 0 if no status has one.
func memoryLimit(policies []unstructured.Unstructured) (limit int64) {
	var latest time.Time
	for i := range policies {
		status, _, _ := unstructured.NestedMap(policies[i].Object, "status")
		value, _, _ := unstructured.NestedInt64(status, "namespaceMemoryLimitBytes")
		uid, _, _ := unstructured.NestedString(status, "replicas", "uid")
		if value <= 0 || uid != "" && uid != string(policies[i].GetUID()) { // a status restored from another cluster
			continue
		}
		text, _, _ := unstructured.NestedString(status, "replicas", "observedTime")
		written, _ := time.Parse(time.RFC3339, text)
		if limit == 0 || written.After(latest) {
			limit, latest = value, written
		}
	}
	return limit
}

// referencesOf returns the lists that policies name, without duplicates, in the order in which the operator counts
// them.
func referencesOf(policies []unstructured.Unstructured) []listReference {
	var all []listReference
	for i := range policies {
		if notUnderstood(&policies[i]) {
			continue
		}
		for _, part := range []string{"allow", "deny"} {
			lists, _, _ := unstructured.NestedSlice(policies[i].Object, "spec", part, "lists")
			for _, list := range lists {
				fields, _ := list.(map[string]any)
				name, _, _ := unstructured.NestedString(fields, "configMap", "name")
				key, _, _ := unstructured.NestedString(fields, "configMap", "key")
				all = append(all, listReference{name, key})
			}
		}
	}
	slices.SortFunc(all, compareReferences)
	return slices.Compact(all)
}

func compareReferences(a, b listReference) int {
	return cmp.Or(strings.Compare(a.configMap, b.configMap), strings.Compare(a.key, b.key))
}

// notUnderstood reports whether the policy's status has the reason NotUnderstood: the operator then ignores the
// policy's lists.
func notUnderstood(policy *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(policy.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(found any) bool {
		condition, _ := found.(map[string]any)
		return condition["type"] == string(v1alpha1.ConditionAccepted) && condition["reason"] == string(v1alpha1.ReasonNotUnderstood) &&
			condition["observedGeneration"] == policy.GetGeneration()
	})
}

// configMapReader returns a function that reads ConfigMaps of the namespace, and one that returns its first read error.
// The given objects take the place of stored ones. It uses what the run has read before, and does not cache anything
// else.
func (r *run) configMapReader(ctx context.Context, objects []*corev1.ConfigMap) (listconfigmap.Get, func() error) {
	var failed error
	get := func(name string) (*corev1.ConfigMap, bool) {
		for _, object := range objects {
			if object.Name == name {
				return object, true
			}
		}
		if known, read := r.configMaps.read[name]; read {
			return known, known != nil
		}
		found := &corev1.ConfigMap{}
		err := r.Kube.Get(ctx, client.ObjectKey{Namespace: r.request.Namespace, Name: name}, found)
		if err != nil && !apierrors.IsNotFound(err) && failed == nil {
			failed = apiError("read ConfigMap "+name, err)
		}
		return found, err == nil
	}
	return get, func() error { return failed }
}

// sizeOf returns the size of a list as the operator counts it. It stops reading once the list alone exceeds the limit.
func sizeOf(get listconfigmap.Get, ref listReference, limit int64) size {
	counted := &sizeCounter{limit: limit}
	switch _, result := listconfigmap.Stream(get, ref.configMap, ref.key, counted); result {
	case listconfigmap.Found, listconfigmap.NotWanted:
		return counted.size
	default:
		return size{}
	}
}

// sizeCounter adds up the size of a streamed list.
type sizeCounter struct {
	size
	limit int64
}

// Begin stops the reading if the index of the list states a size over the limit, and records that size.
func (c *sizeCounter) Begin(_ string, length int64) bool {
	if length < 0 || budget.ListCost(length, 0) <= c.limit {
		return true
	}
	c.bytes = length
	return false
}

// Add adds a part of the list. It returns false once the list exceeds the limit.
func (c *sizeCounter) Add(text []byte) bool {
	c.bytes += int64(len(text))
	c.lines += int64(bytes.Count(text, []byte{'\n'}))
	return c.cost() <= c.limit
}
