package budget

import (
	"fmt"
	"iter"
)

// Account compares the memory of one namespace with its limit: first that of its policies, then that of the lists that
// they name. Callers must add lists in the order of their names, so that the same lists fit in every replica.
type Account struct {
	namespace string
	limit     int64
	limited   bool
	count     int   // of policies
	specBytes int64 // of all policies

	// The bytes of memory that the policies, the lists that fit, and the lists that do not fit take.
	policies, lists, refused int64
}

// Open returns the account of a namespace. specs has the size in bytes of each policy's spec as JSON, in any order.
func (l Limits) Open(namespace string, specs iter.Seq[int64]) *Account {
	a := &Account{namespace: namespace}
	a.limit, a.limited = l[namespace]
	for spec := range specs {
		a.count++
		a.specBytes += spec
		a.policies += PolicyCost(spec)
	}
	return a
}

// Wanted returns how many bytes of memory the namespace needs, refused policies and lists included.
func (a *Account) Wanted() int64 { return a.policies + a.lists + a.refused }

// Limit returns how many bytes the namespace may take; 0 means no limit.
func (a *Account) Limit() int64 { return a.limit }

// Left returns how many bytes remain for further lists. It is negative if the policies alone exceed the limit.
func (a *Account) Left() int64 { return a.limit - a.taken() }

// taken returns how many bytes the policies and the lists that fit take.
func (a *Account) taken() int64 { return a.policies + a.lists }

// Refusal returns, for people, why the policies exceed the limit; "" if they fit.
func (a *Account) Refusal() string {
	if !a.limited || a.policies <= a.limit {
		return ""
	}
	return fmt.Sprintf("the policies of namespace %s take %s of memory (%d policies, %s of spec), and --namespace-limits gives it %s: "+
		"delete policies, remove entries, or have the limit raised",
		a.namespace, Size(a.policies), a.count, Size(a.specBytes), Size(a.limit))
}

// Check returns, for people, why a list does not fit; "" if it does. text is its size in bytes, and lines the number of
// its lines. A nil account has no limit.
func (a *Account) Check(text, lines int64) string {
	if a == nil || !a.limited {
		return ""
	}
	cost := ListCost(text, lines)
	if cost <= a.Left() {
		return ""
	}
	return fmt.Sprintf("it takes %s of memory or more (%s of text), and of the %s that --namespace-limits gives namespace %s, %s are "+
		"left: shorten the list, delete policies, or have the limit raised",
		Size(cost), Size(text), Size(a.limit), a.namespace, Size(max(0, a.Left())))
}

// Take adds a list for which Check returned "".
func (a *Account) Take(text, lines int64) {
	if a != nil {
		a.lists += ListCost(text, lines)
	}
}

// Refuse adds a list that does not fit. The list counts for Wanted only.
func (a *Account) Refuse(text, lines int64) {
	if a != nil {
		a.refused += ListCost(text, lines)
	}
}
