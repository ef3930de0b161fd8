package listmemory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/listguard"
)

// Memory compares the memory that a list takes in each replica of the operator with the limit of its namespace.
type Memory struct {
	// ListBytes is the memory for the new content. It includes a second version of the list, because the operator keeps
	// the old version of a list until the new one is in force.
	ListBytes int64 `json:"listBytes"`
	// LimitBytes limits all policies and lists of the namespace together. It is 0 if no status of a policy states a
	// limit.
	LimitBytes int64 `json:"limitBytes,omitempty"`
	// OtherBytes is the memory for the policies and the other lists that they name. It is 0 without a limit.
	OtherBytes int64 `json:"otherBytes,omitempty"`
}

// Input is what an estimate is made from.
type Input struct {
	// Namespace and Name are those of the ConfigMap of the list.
	Namespace, Name string
	// Text is the new content, and Objects are the ConfigMaps that will hold it.
	Text    []byte
	Objects []*corev1.ConfigMap
	// Policies are all policies of the namespace.
	Policies []unstructured.Unstructured
	// Get returns a stored ConfigMap of the namespace, or nil if it does not exist.
	Get func(name string) (*corev1.ConfigMap, error)
}

// Result is an estimate.
type Result struct {
	// Memory is the memory that the new content takes.
	Memory Memory
	// Refusals name the lists that the operator would refuse: the list itself, or another list that fits beside the old
	// content and not beside the new one.
	Refusals []listguard.Refusal
	// Warnings name the lists that could not be read and are not counted.
	Warnings []string
}

// listReference names a list in a policy. An empty key means all keys of the ConfigMap.
type listReference struct{ configMap, key string }

// textSize is the size of a list's text. It is zero for a list that the operator does not read, such as a missing one.
type textSize struct{ bytes, lines int64 }

func (s textSize) cost() int64 { return budget.ListCost(s.bytes, s.lines) }

func sizeOf(text []byte) textSize {
	return textSize{int64(len(text)), int64(bytes.Count(text, []byte{'\n'}))}
}

// Estimate counts the memory of the namespace twice, with the old content of the list and with the new one. Without a
// limit it only counts the list itself.
func Estimate(in *Input) *Result {
	newSize, limit := sizeOf(in.Text), memoryLimit(in.Policies)
	result := &Result{Memory: Memory{ListBytes: newSize.cost(), LimitBytes: limit}}
	if limit == 0 {
		return result
	}
	references := referencesOf(in.Policies)
	oldSizes, newSizes := map[listReference]textSize{}, map[listReference]textSize{}
	for _, ref := range references {
		var readError error
		oldSizes[ref] = measure(in.stored(&readError), ref, limit)
		newSizes[ref] = oldSizes[ref]
		if ref.configMap == in.Name {
			newSizes[ref] = measure(in.planned(&readError), ref, limit)
			if newSizes[ref] != (textSize{}) {
				newSizes[ref] = newSize // measure may have stopped at the limit, but refusalText reports the whole size
			}
		}
		if readError != nil {
			result.Warnings = append(result.Warnings, fmt.Sprintf("the memory of list %s is not counted: %v", ref.configMap, readError))
		}
	}
	// A list that no policy names yet is counted too, because a policy will probably name it soon.
	if !slices.ContainsFunc(references, func(ref listReference) bool { return ref.configMap == in.Name }) {
		added := listReference{configMap: in.Name}
		references = append(references, added)
		newSizes[added] = newSize
		slices.SortFunc(references, compareReferences)
	}
	before, after := in.openAccount(limit), in.openAccount(limit)
	fitted, _ := before.admit(references, oldSizes, in.Name)
	_, left := after.admit(references, newSizes, in.Name)
	result.Memory.OtherBytes = after.otherBytes
	if refusal := after.Refusal(); refusal != "" {
		result.Refusals = []listguard.Refusal{{Kind: listguard.OverBudget, Text: "the operator would not read the list: " + refusal}}
		return result
	}
	for _, ref := range references {
		leftBytes, refused := left[ref]
		if refused && (ref.configMap == in.Name || fitted[ref]) {
			text := in.refusalText(ref, newSize, newSizes[ref], limit, max(0, leftBytes))
			refusal := listguard.Refusal{Kind: listguard.OverBudget, Text: text}
			if ref.configMap != in.Name {
				refusal.Affects = ref.configMap
			}
			result.Refusals = append(result.Refusals, refusal)
		}
	}
	return result
}

// refusalText returns the text of the refusal of a list that takes more memory than remains. ref and size are that
// list and its size, and leftBytes is the memory that remains. newSize is the size of the new content, which the text
// also states if ref is another list.
func (in *Input) refusalText(ref listReference, newSize, size textSize, limit, leftBytes int64) string {
	if ref.configMap == in.Name {
		return fmt.Sprintf("the operator would refuse the list: it takes %s of memory (%s of text, %d lines), and of the %s that namespace %s "+
			"may take, %s are left for it: shorten the list, delete policies or other lists, or have --namespace-limits raised",
			budget.Size(size.cost()), budget.Size(size.bytes), size.lines, budget.Size(limit), in.Namespace, budget.Size(leftBytes))
	}
	return fmt.Sprintf("the operator would refuse list %s, which takes %s of memory: beside the new content, which takes %s, %s are left for "+
		"it of the %s that namespace %s may take: shorten one of the lists, delete policies, or have --namespace-limits raised",
		ref.configMap, budget.Size(size.cost()), budget.Size(newSize.cost()), budget.Size(leftBytes), budget.Size(limit), in.Namespace)
}

// account is the memory of a namespace, as the operator counts it.
type account struct {
	*budget.Account
	otherBytes int64 // of the policies, and of all lists but the one to write
}

// openAccount returns an account with the policies and no lists.
func (in *Input) openAccount(limit int64) *account {
	specs := make([]int64, len(in.Policies))
	for i := range in.Policies {
		// The operator caches the spec as JSON, and counts the same bytes.
		if spec := in.Policies[i].Object["spec"]; spec != nil {
			if text, err := json.Marshal(spec); err == nil {
				specs[i] = int64(len(text))
			}
		}
	}
	a := &account{Account: budget.Limits{in.Namespace: limit}.Open(in.Namespace, slices.Values(specs))}
	a.otherBytes = a.Wanted()
	return a
}

// admit adds the lists to the account in order, except those that no longer fit. It returns the lists that fit, and for
// each other list the memory that was left for it. It adds the cost of the lists that fit to a.otherBytes, except that
// of the list named toWrite.
func (a *account) admit(
	references []listReference, sizes map[listReference]textSize, toWrite string,
) (fits map[listReference]bool, left map[listReference]int64) {
	fits, left = map[listReference]bool{}, map[listReference]int64{}
	for _, ref := range references {
		size := sizes[ref]
		if size == (textSize{}) {
			continue
		}
		if a.Check(size.bytes, size.lines) != "" {
			left[ref] = a.Left()
			continue
		}
		fits[ref] = true
		a.Take(size.bytes, size.lines)
		if ref.configMap != toWrite {
			a.otherBytes += size.cost()
		}
	}
	return fits, left
}

// stored returns Get in the form that listconfigmap takes. It sets failed to the first error.
func (in *Input) stored(failed *error) listconfigmap.Get {
	return func(name string) (*corev1.ConfigMap, bool) {
		object, err := in.Get(name)
		if err != nil && *failed == nil {
			*failed = err
		}
		return object, err == nil && object != nil
	}
}

// planned does what stored does, but replaces the stored ConfigMaps by the Objects with the same names.
func (in *Input) planned(failed *error) listconfigmap.Get {
	stored := in.stored(failed)
	return func(name string) (*corev1.ConfigMap, bool) {
		for _, object := range in.Objects {
			if object.Name == name {
				return object, true
			}
		}
		return stored(name)
	}
}

// measure returns the size of a list. It stops reading once the list alone exceeds the limit: the operator refuses such
// a list, whatever its full size is.
func measure(get listconfigmap.Get, ref listReference, limit int64) textSize {
	counter := &sizeCounter{limit: limit}
	switch _, result := listconfigmap.Stream(get, ref.configMap, ref.key, counter); result {
	case listconfigmap.Found, listconfigmap.NotWanted:
		return counter.textSize
	default:
		return textSize{}
	}
}

// sizeCounter is a listconfigmap.Sink that adds up the size of a list.
type sizeCounter struct {
	textSize
	limit int64
}

// Begin returns false if the index of the list states a length that exceeds the limit. It then records this length as
// the size. length is -1 for a list without an index.
func (c *sizeCounter) Begin(_ string, length int64) bool {
	if length < 0 || budget.ListCost(length, 0) <= c.limit {
		return true
	}
	c.bytes = length
	return false
}

// Add adds a part of the list. It returns false once the list exceeds the limit.
func (c *sizeCounter) Add(text []byte) bool {
	part := sizeOf(text)
	c.bytes += part.bytes
	c.lines += part.lines
	return c.cost() <= c.limit
}
