package okta

import "bytes"

// fewNames is the number of names in an object up to which a new one is compared with each. Beyond it a map is used:
// otherwise a profile of many short names would take a good part of a second.
const fewNames = 32

// names has the names read so far of all objects that are not at their end yet, so that a second member of the same name
// is found. They are parts of the body, except names with escapes.
type names struct {
	all   [][]byte            // those of the innermost object are the last
	first int                 // where the names of the innermost object begin in the field all
	many  map[string]struct{} // the innermost object's names, if there are more than fewNames
}

// outerNames keeps what the type names holds for an object while an object inside of it is read.
type outerNames struct {
	first int
	many  map[string]struct{}
}

// enter begins an object. leave ends it; it takes what enter returned.
func (n *names) enter() outerNames {
	outer := outerNames{n.first, n.many}
	n.first, n.many = len(n.all), nil
	return outer
}

// leave also drops the references to the body, which has personal data.
func (n *names) leave(outer outerNames) {
	clear(n.all[n.first:])
	n.all = n.all[:n.first]
	n.first, n.many = outer.first, outer.many
}

// add adds a name to the innermost object. It returns false if the object has it already.
func (n *names) add(name []byte) bool {
	inner := n.all[n.first:]
	if n.many == nil {
		for _, other := range inner {
			if bytes.Equal(other, name) {
				return false
			}
		}
		if len(inner) == fewNames {
			n.many = make(map[string]struct{}, 2*fewNames)
			for _, other := range inner {
				n.many[string(other)] = struct{}{}
			}
		}
	}
	if n.many != nil {
		if _, found := n.many[string(name)]; found {
			return false
		}
		n.many[string(name)] = struct{}{}
	}
	n.all = append(n.all, name)
	return true
}
