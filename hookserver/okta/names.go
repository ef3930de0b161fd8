package okta

import "bytes"

// fewNames is the number of members of an object up to which add compares a new name with each earlier one. For more
// members, add uses a map: comparing each of many short names with all others would take a good part of a second.
const fewNames = 32

// names has the member names read so far in each open object, so that add finds duplicates. An object is open from its
// { to its }. The names are parts of the body, except those with escapes.
type names struct {
	stack [][]byte            // the names of all open objects, with those of the innermost one on top
	first int                 // the index in stack at which the names of the innermost open object begin
	many  map[string]struct{} // the names of the innermost open object, if there are more than fewNames
}

// outerNames keeps what a names has for the outer object (names.first and names.many) while an inner object is read.
type outerNames struct {
	first int
	many  map[string]struct{}
}

// enter begins an object. leave ends it, and must be given the result of enter.
func (n *names) enter() outerNames {
	outer := outerNames{n.first, n.many}
	n.first, n.many = len(n.stack), nil
	return outer
}

// leave also drops the references to the body, which has personal data.
func (n *names) leave(outer outerNames) {
	clear(n.stack[n.first:])
	n.stack = n.stack[:n.first]
	n.first, n.many = outer.first, outer.many
}

// add adds a member name of the innermost open object. It returns false if the object already has that name.
func (n *names) add(name []byte) bool {
	inner := n.stack[n.first:]
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
	n.stack = append(n.stack, name)
	return true
}
