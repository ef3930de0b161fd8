package okta

import "bytes"

// fewNames is the number of names of an object up to which add compares a new name with each of them. For more, add
// uses a map: the comparisons for a profile of many short names would take a good part of a second.
const fewNames = 32

// names has the member names of all objects that are being read, so that add finds duplicates. The names are parts of
// the body, except those with escapes.
type names struct {
	all   [][]byte            // names of the outermost object first, of the innermost last
	first int                 // where the names of the innermost object begin in the field all
	many  map[string]struct{} // the innermost object's names, if there are more than fewNames
}

// outerNames saves the fields first and many of names, for the outer object, while an inner object is read.
type outerNames struct {
	first int
	many  map[string]struct{}
}

// enter begins an object. leave ends it, and must be given the result of enter.
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
