package budget

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// reserved is how many bytes the program takes without policies: code, connections, calls in flight, and client caches.
const reserved = 56 << 20

// Limits maps a namespace to how many bytes of memory it may take. A namespace without an entry has no limit.
type Limits map[string]int64

// Parse reads entries of the form namespace=64Mi. The error names every bad entry, in one line.
func Parse(entries []string) (Limits, error) {
	limits := Limits{}
	var problems []string
	for _, entry := range entries {
		namespace, size, _ := strings.Cut(entry, "=")
		quantity, err := resource.ParseQuantity(size)
		switch reasons := validation.IsDNS1123Label(namespace); {
		case len(reasons) > 0:
			problems = append(problems, fmt.Sprintf("%q is not the name of a namespace: write namespace=64Mi", namespace))
		case err != nil || quantity.Value() <= 0:
			problems = append(problems, fmt.Sprintf("%q: %q is not a size: write namespace=64Mi", namespace, size))
		case limits[namespace] != 0:
			problems = append(problems, fmt.Sprintf("%q is given twice: give it one limit", namespace))
		default:
			limits[namespace] = quantity.Value()
		}
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	return limits, nil
}

// Share returns limits for all namespaces: those in l, and shares of the remaining memory for the others. memory is the
// memory limit of the process in bytes, and own is the operator's namespace.
//
// own gets half of the remaining memory, so that watching one more namespace does not reduce the memory for the lists
// in own. The others share the second half equally. Share fails if nothing remains for a namespace without a limit in
// l.
func (l Limits) Share(memory int64, own string, namespaces []string) (Limits, error) {
	shared, left := Limits{}, Available(memory)
	var others []string
	for _, namespace := range namespaces {
		if given, found := l[namespace]; found {
			shared[namespace] = given
			left -= given
		} else if namespace != own {
			others = append(others, namespace)
		}
	}
	ownUnset := slices.Contains(namespaces, own) && shared[own] == 0
	if unset := len(others) > 0 || ownUnset; unset && left <= 0 {
		if ownUnset {
			others = append(others, own)
		}
		return nil, fmt.Errorf("the given limits take %s of the %s that policies and lists may take: nothing is left for %s; "+
			"lower the limits, give each of these a limit too, or raise the memory limit",
			Size(Available(memory)-left), Size(max(0, Available(memory))), strings.Join(others, ", "))
	}
	if ownUnset {
		shared[own] = left / 2
		left -= shared[own]
	} else if _, given := l[own]; !given {
		left /= 2 // the operator's namespace keeps its half even if it is not watched
	}
	for _, namespace := range others {
		shared[namespace] = left / int64(len(others))
	}
	return shared, nil
}

// Available returns how many bytes policies and lists may take, given the memory limit of the process in bytes.
func Available(memory int64) int64 { return memory - reserved }

// Excess returns by how many bytes the limits together exceed Available(memory); 0 if they do not.
func (l Limits) Excess(memory int64) int64 {
	var sum int64
	for _, limit := range l {
		sum += limit
	}
	return max(0, sum-Available(memory))
}
