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

// Memory says how much memory a list takes in each replica of the operator, and how much its namespace may take.
type Memory struct {
	// ListBytes is for the new content, and for a second version of it while one replaces the other.
	ListBytes int64 `json:"listBytes"`
	// LimitBytes is what the policies and lists of the namespace may take together; 0 if the status of no policy says it.
	LimitBytes int64 `json:"limitBytes,omitempty"`
	// OtherBytes is for the policies and the other lists that they name; 0 if the limit is not known.
	OtherBytes int64 `json:"otherBytes,omitempty"`
}

// reference is how policies name a list.
type reference struct{ name, key string }

// size is what a list has of text and of lines. Zero: the operator reads nothing.
type size struct{ text, lines int64 }

// measure notes what the new content takes in memory, and returns what the operator would refuse because of it: the list itself, or
// another one that fits beside the old content and not beside the new one.
func (r *run) measure(ctx context.Context, policies []unstructured.Unstructured, objects []*corev1.ConfigMap) []Objection {
	own := size{int64(len(r.request.Text)), int64(bytes.Count(r.request.Text, []byte{'\n'}))}
	limit := memoryLimit(policies)
	r.report.Memory = &Memory{ListBytes: budget.ListCost(own.text, own.lines), LimitBytes: limit}
	if limit == 0 {
		return nil
	}
	references := referencesOf(policies)
	before := map[reference]size{}
	now := map[reference]size{}
	for _, named := range references {
		get, cause := r.reading(ctx, nil)
		if before[named] = sizeOf(get, named, limit); named.name == r.request.Name {
			get, _ = r.reading(ctx, objects)
			if now[named] = sizeOf(get, named, limit); now[named] != (size{}) {
				now[named] = own // all of it, also where the operator would not read on
			}
		} else {
			now[named] = before[named]
		}
		if err := cause(); err != nil {
			r.report.Warnings = append(r.report.Warnings,
				fmt.Sprintf("what list %s takes in memory is not counted: %v", named.name, err))
		}
	}
	// Somebody who syncs a list is about to name it.
	if !slices.ContainsFunc(references, func(named reference) bool { return named.name == r.request.Name }) {
		references = append(references, reference{name: r.request.Name})
		now[references[len(references)-1]] = own
		slices.SortFunc(references, compareReferences)
	}
	earlier := open(r.request.Namespace, limit, policies)
	fitted, _ := earlier.admit(references, before, r.request.Name)
	account := open(r.request.Namespace, limit, policies)
	_, refused := account.admit(references, now, r.request.Name)
	r.report.Memory.OtherBytes = account.others
	if refusal := account.Refusal(); refusal != "" {
		return []Objection{{Kind: OverBudget, Text: "the operator would not read the list: " + refusal}}
	}
	var objections []Objection
	for _, named := range references {
		switch left, is := refused[named]; {
		case !is:
		case named.name == r.request.Name:
			objections = append(objections, Objection{Kind: OverBudget, Text: fmt.Sprintf(
				"the operator would refuse the list: it takes %s of memory (%s of text, %d lines), and of the %s that namespace %s may take, "+
					"%s are left for it: shorten the list, delete policies or other lists, or have --namespace-limits raised",
				budget.Size(now[named].cost()), budget.Size(now[named].text), now[named].lines, budget.Size(limit), r.request.Namespace,
				budget.Size(max(0, left)))})
		case fitted[named]:
			objections = append(objections, Objection{Kind: OverBudget, Of: named.name, Text: fmt.Sprintf(
				"the operator would refuse list %s, which takes %s of memory: beside the new content, which takes %s, %s are left for it of the "+
					"%s that namespace %s may take: shorten one of the lists, delete policies, or have --namespace-limits raised",
				named.name, budget.Size(now[named].cost()), budget.Size(budget.ListCost(own.text, own.lines)), budget.Size(max(0, left)),
				budget.Size(limit), r.request.Namespace)})
		}
	}
	return objections
}

func (s size) cost() int64 { return budget.ListCost(s.text, s.lines) }

// account is what a namespace takes, as the operator counts it.
type account struct {
	*budget.Account
	others int64 // of policies and of lists besides the one that is synchronised
}

func open(namespace string, limit int64, policies []unstructured.Unstructured) *account {
	a := &account{}
	specs := make([]int64, 0, len(policies))
	for i := range policies {
		// The operator counts the same bytes: what it caches is the spec as JSON.
		text, err := json.Marshal(policies[i].Object["spec"])
		if err == nil && policies[i].Object["spec"] != nil {
			specs = append(specs, int64(len(text)))
		} else {
			specs = append(specs, 0)
		}
	}
	a.Account = budget.Limits{namespace: limit}.Open(namespace, specs)
	a.others = a.Wanted()
	return a
}

// admit takes lists in their order as long as they fit. It returns those that do, and of the others how much was left for them.
func (a *account) admit(references []reference, sizes map[reference]size, own string) (fits map[reference]bool, left map[reference]int64) {
	fits, left = map[reference]bool{}, map[reference]int64{}
	for _, named := range references {
		list, measured := sizes[named]
		if !measured || list == (size{}) {
			continue
		}
		if a.Check(list.text, list.lines) != "" {
			left[named] = a.Left()
			continue
		}
		fits[named] = true
		a.Take(list.text, list.lines)
		if named.name != own {
			a.others += list.cost()
		}
	}
	return fits, left
}

// memoryLimit returns how much memory a namespace may take, as the release says that decides by its policies: in their status. Of
// several that differ, the last one written counts. 0: none says it.
func memoryLimit(policies []unstructured.Unstructured) (limit int64) {
	var latest time.Time
	for i := range policies {
		status, _, _ := unstructured.NestedMap(policies[i].Object, "status")
		says, _, _ := unstructured.NestedInt64(status, "namespaceMemoryLimitBytes")
		uid, _, _ := unstructured.NestedString(status, "replicas", "uid")
		if says <= 0 || uid != "" && uid != string(policies[i].GetUID()) { // restored from another cluster
			continue
		}
		text, _, _ := unstructured.NestedString(status, "replicas", "observedTime")
		written, _ := time.Parse(time.RFC3339, text)
		if limit == 0 || written.After(latest) {
			limit, latest = says, written
		}
	}
	return limit
}

// referencesOf returns the lists that policies name, each once, in the order in which the operator counts them.
func referencesOf(policies []unstructured.Unstructured) []reference {
	var all []reference
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
				all = append(all, reference{name, key})
			}
		}
	}
	slices.SortFunc(all, compareReferences)
	return slices.Compact(all)
}

func compareReferences(a, b reference) int {
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.key, b.key))
}

// notUnderstood says that the operator reads none of a policy's lists.
func notUnderstood(policy *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(policy.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(found any) bool {
		condition, _ := found.(map[string]any)
		return condition["type"] == string(v1alpha1.ConditionAccepted) && condition["reason"] == string(v1alpha1.ReasonNotUnderstood) &&
			condition["observedGeneration"] == policy.GetGeneration()
	})
}

// reading returns a reader of the namespace's ConfigMaps in which some objects are as they will be, and what tells afterwards whether
// something could not be read. It keeps nothing but what was read before.
func (r *run) reading(ctx context.Context, objects []*corev1.ConfigMap) (listconfigmap.Get, func() error) {
	var failed error
	get := func(name string) (*corev1.ConfigMap, bool) {
		for _, object := range objects {
			if object.Name == name {
				return object, true
			}
		}
		if known, read := r.maps.read[name]; read {
			return known, known != nil
		}
		found := &corev1.ConfigMap{}
		err := r.Kube.Get(ctx, client.ObjectKey{Namespace: r.request.Namespace, Name: name}, found)
		if err != nil && !apierrors.IsNotFound(err) && failed == nil {
			failed = fault("read ConfigMap "+name, err)
		}
		return found, err == nil
	}
	return get, func() error { return failed }
}

// sizeOf returns what the operator counts of a list. It stops where the list alone is beyond the limit.
func sizeOf(get listconfigmap.Get, named reference, limit int64) size {
	counted := &counter{limit: limit}
	switch _, result := listconfigmap.Stream(get, named.name, named.key, counted); result {
	case listconfigmap.Found, listconfigmap.NotWanted:
		return counted.size
	default:
		return size{}
	}
}

// counter counts the texts of a list.
type counter struct {
	size
	limit int64
}

// Begin takes the word of an index for the size of its list, if that is too large.
func (c *counter) Begin(_ string, text int64) bool {
	if text < 0 || budget.ListCost(text, 0) <= c.limit {
		return true
	}
	c.text = text
	return false
}

// Add counts a text.
func (c *counter) Add(text []byte) bool {
	c.text += int64(len(text))
	c.lines += int64(bytes.Count(text, []byte{'\n'}))
	return c.cost() <= c.limit
}
