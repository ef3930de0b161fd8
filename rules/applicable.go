package rules

import "slices"

// applicableEdit edits a copy of an applicable, which an earlier snapshot may use. The copy at first shares its slices
// with the original; applicableEdit copies a slice before the first change to the slice.
type applicableEdit struct {
	applicable
	rare     rareParts   // a copy of applicable.rareParts; rare.lists has the lists that the policies name
	original *applicable // nil if there is none

	ownsScopes   bool           // applicable.scopes is not shared with the original
	ownsBlocking bool           // rare.blocking is not shared with the original
	listAt       map[string]int // for the digest of each list, its index in rare.lists; nil while rare.lists is shared
	ownsRefs     map[int]bool   // true for an index in rare.lists: the refs there are not shared with the original
}

func editApplicable(original *applicable) *applicableEdit {
	e := &applicableEdit{original: original}
	if original != nil {
		e.applicable, e.rare = *original, *original.rareParts
	}
	return e
}

// finish returns the result of the edit: the original if nothing has changed, and nil if no policy is left.
func (e *applicableEdit) finish() *applicable {
	if len(e.scopes) == 0 {
		return nil
	}
	if e.original != nil && !e.ownsScopes && !e.ownsBlocking && e.listAt == nil &&
		e.totals == e.original.totals && e.addresses == e.original.addresses {
		return e.original
	}
	finished := e.applicable // a copy: a pointer into the edit would keep the maps of the edit in memory
	finished.rareParts = noRareParts
	e.rare.lists = slices.Clip(slices.DeleteFunc(e.rare.lists, func(l listRefs) bool { return len(l.refs) == 0 }))
	if len(e.rare.blocking)+len(e.rare.lists) > 0 {
		finished.rareParts = &rareParts{e.rare.blocking, e.rare.lists}
	}
	return &finished
}

func (e *applicableEdit) copyScopes() {
	if !e.ownsScopes {
		e.scopes, e.ownsScopes = slices.Clone(e.scopes), true
	}
}

func (e *applicableEdit) addScope(number uint32) {
	e.copyScopes()
	at, _ := slices.BinarySearch(e.scopes, number)
	e.scopes = slices.Insert(e.scopes, at, number)
}

func (e *applicableEdit) dropScope(number uint32) {
	e.copyScopes()
	e.scopes = slices.DeleteFunc(e.scopes, func(other uint32) bool { return other == number })
}

func (e *applicableEdit) remove(p slottedPolicy) {
	e.count(p, -1)
	if !p.policy.enforceable {
		e.copyBlocking()
		e.rare.blocking = slices.DeleteFunc(e.rare.blocking, func(slot uint32) bool { return slot == p.slot })
	}
	for _, rule := range p.policy.lists {
		refs := e.refsOf(rule.list)
		*refs = slices.DeleteFunc(*refs, func(r ruleRef) bool { return r.slot == p.slot })
	}
}

func (e *applicableEdit) add(p slottedPolicy) {
	e.count(p, 1)
	if !p.policy.enforceable {
		e.copyBlocking()
		e.rare.blocking = append(e.rare.blocking, p.slot)
	}
	for _, rule := range p.policy.lists {
		refs := e.refsOf(rule.list)
		*refs = append(*refs, newRuleRef(p.slot, rule.entry.Index, traits(rule.entry.Field)))
	}
}

func (e *applicableEdit) copyBlocking() {
	if !e.ownsBlocking {
		e.rare.blocking, e.ownsBlocking = slices.Clone(e.rare.blocking), true
	}
}

// count adds a policy to addresses and totals if by is 1, or subtracts it if by is -1.
func (e *applicableEdit) count(p slottedPolicy, by int) {
	e.addresses += uint32(by * p.policy.addresses) //nolint:gosec // a sum modulo 2³², which subtracting undoes
	if p.policy.mode == Audit {
		return
	}
	for _, request := range []requestSet{signUps, profileUpdates} {
		if p.policy.requests&request == 0 {
			continue
		}
		t := e.of(request)
		t.enforcing += uint32(by) //nolint:gosec // as above
		if p.policy.hasAllow {
			t.allowing += uint32(by)               //nolint:gosec // as above
			t.allowingSlots += uint32(by) * p.slot //nolint:gosec // as above
		}
	}
}

// refsOf returns the entries that name a list, for the caller to change. Two lists with the same digest count as one.
func (e *applicableEdit) refsOf(list *List) *[]ruleRef {
	if e.listAt == nil {
		e.rare.lists = slices.Clone(e.rare.lists)
		e.listAt, e.ownsRefs = make(map[string]int, len(e.rare.lists)), map[int]bool{}
		for i := range e.rare.lists {
			e.listAt[e.rare.lists[i].list.Digest()] = i
		}
	}
	i, known := e.listAt[list.Digest()]
	if !known {
		i = len(e.rare.lists)
		e.listAt[list.Digest()] = i
		e.rare.lists = append(e.rare.lists, listRefs{list: list})
	}
	if !e.ownsRefs[i] {
		e.ownsRefs[i] = true
		e.rare.lists[i].refs = slices.Clone(e.rare.lists[i].refs)
	}
	return &e.rare.lists[i].refs
}
