package budget

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// reserved is what the program takes without any policy: its code, connections, calls in flight, and the caches of its clients.
const reserved = 56 << 20

// Limits are how many bytes of memory each namespace may take. A namespace that is not there has no limit; nil limits none.
type Limits map[string]int64

// Parse reads entries of the form namespace=64Mi. The error says in one line all that is wrong with them.
func Parse(entries []string) (Limits, error) {
	limits := Limits{}
	var faults []string
	for _, entry := range entries {
		namespace, size, _ := strings.Cut(entry, "=")
		quantity, err := resource.ParseQuantity(size)
		switch problems := validation.IsDNS1123Label(namespace); {
		case len(problems) > 0:
			faults = append(faults, fmt.Sprintf("%q is not the name of a namespace: write namespace=64Mi", namespace))
		case err != nil || quantity.Value() <= 0:
			faults = append(faults, fmt.Sprintf("%q: %q is not a size: write namespace=64Mi", namespace, size))
		case limits[namespace] != 0:
			faults = append(faults, fmt.Sprintf("%q is given twice", namespace))
		default:
			limits[namespace] = quantity.Value()
		}
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	return limits, nil
}

// Share returns the limits of all namespaces, of which some are given. What is left of the process's memory is shared by the others:
// a half for the operator's own namespace, the other half for the rest in equal parts. So one more tenant takes nothing from the
// platform's own lists.
func (l Limits) Share(memory int64, own string, namespaces []string) (Limits, error) {
	shared, left := Limits{}, Available(memory)
	var others []string
	for _, namespace := range namespaces {
		if given, is := l[namespace]; is {
			shared[namespace] = given
			left -= given
		} else if namespace != own {
			others = append(others, namespace)
		}
	}
	ownIsOpen := slices.Contains(namespaces, own) && shared[own] == 0
	if open := len(others) > 0 || ownIsOpen; open && left <= 0 {
		if ownIsOpen {
			others = append(others, own)
		}
		return nil, fmt.Errorf("%s are given away, and policies and lists have %s of the memory limit: nothing is left for %s; "+
			"lower the limits, give it one too, or raise the memory limit",
			Size(Available(memory)-left), Size(max(0, Available(memory))), strings.Join(others, ", "))
	}
	if ownIsOpen {
		shared[own] = left / 2
		left -= shared[own]
	} else if _, given := l[own]; !given {
		left /= 2 // the own namespace is not watched: as if it were
	}
	for _, namespace := range others {
		shared[namespace] = left / int64(len(others))
	}
	return shared, nil
}

// Available returns how many bytes there are for policies and lists where the process has so many.
func Available(memory int64) int64 { return memory - reserved }

// Excess returns by how many bytes limits that were given are more than there is; 0 if they are not.
func (l Limits) Excess(memory int64) int64 {
	var sum int64
	for _, limit := range l {
		sum += limit
	}
	return max(0, sum-Available(memory))
}
