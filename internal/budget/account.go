package budget

import "fmt"

// Account is what a namespace takes of what it may take. The policies are counted first, then the lists that they name, in the order
// of their names, as long as they fit.
type Account struct {
	namespace string
	limit     int64
	limited   bool
	count     int
	specs     int64
	policies  int64
	lists     int64
	refused   int64 // lists
}

// Open returns the account of a namespace with policies whose specs have so many bytes as JSON, in whatever order.
func (l Limits) Open(namespace string, specs []int64) *Account {
	a := &Account{namespace: namespace, count: len(specs)}
	a.limit, a.limited = l[namespace]
	for _, spec := range specs {
		a.specs += spec
		a.policies += PolicyCost(spec)
	}
	return a
}

// Wanted returns how many bytes of memory all of it would take, what is refused included.
func (a *Account) Wanted() int64 { return a.policies + a.lists + a.refused }

// Limit returns how many bytes the namespace may take; 0 where it has no limit.
func (a *Account) Limit() int64 { return a.limit }

// Left returns how many bytes there are for a further list; negative where the policies alone take more than the limit.
func (a *Account) Left() int64 { return a.limit - a.taken() }

func (a *Account) taken() int64 { return a.policies + a.lists }

// Refusal says, for people, why the policies of the namespace cannot be in force; "" means that they can.
func (a *Account) Refusal() string {
	if !a.limited || a.policies <= a.limit {
		return ""
	}
	return fmt.Sprintf("the policies of namespace %s take %s of memory (%d policies, %s of spec), and --namespace-limits gives it %s: "+
		"delete some or shorten their entries, or have the limit raised",
		a.namespace, Size(a.policies), a.count, Size(a.specs), Size(a.limit))
}

// Check says, for people, why a list does not fit; "" means that it does. A nil account has room for everything.
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

// Take counts a list that fits.
func (a *Account) Take(text, lines int64) {
	if a != nil {
		a.lists += ListCost(text, lines)
	}
}

// Refuse notes a list that does not fit.
func (a *Account) Refuse(text, lines int64) {
	if a != nil {
		a.refused += ListCost(text, lines)
	}
}
