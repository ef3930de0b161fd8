package rules

import "unsafe"

// stringSize is the size in bytes of a string without its text.
const stringSize = int(unsafe.Sizeof(""))

// Size returns how many bytes the policy takes in memory while it is in force: the Compiled itself, and the entries of
// the policy in the index of a [Snapshot]. The lists that the policy uses are not included.
func (c *Compiled) Size() int {
	size := int(unsafe.Sizeof(*c)) + len(c.name.Namespace) + len(c.name.Name) + len(c.scope) + len(c.message)
	size += sizeOfTexts(c.sources)
	for _, attribute := range c.profile {
		const copies = 2 // of the struct, in profile and in sent; they share the texts
		size += copies*int(unsafe.Sizeof(attribute)) + len(attribute.Name) + len(attribute.Value)
	}
	for _, rejection := range c.rejections {
		size += int(unsafe.Sizeof(rejection)) + len(rejection.Path) + len(rejection.Message)
	}
	refs := len(c.lists) * max(1, len(c.sources)) // a snapshot has a ruleRef for each list and source: see rareParts
	size += cap(c.rules) + len(c.lists)*int(unsafe.Sizeof(listRule{})) + refs*int(unsafe.Sizeof(ruleRef{}))
	return size + c.ruleCount*int(unsafe.Sizeof(posting{}))
}

func sizeOfTexts(texts []string) int {
	size := cap(texts) * stringSize
	for _, text := range texts {
		size += len(text)
	}
	return size
}
