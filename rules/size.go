package rules

import "unsafe"

// Sizes in bytes, of what is counted one by one.
const (
	stringSize = int(unsafe.Sizeof(""))
	sliceSize  = int(unsafe.Sizeof([]byte(nil)))
)

// Size returns how many bytes the list takes in memory.
func (l *List) Size() int {
	return int(unsafe.Sizeof(*l)) + len(l.digest) + len(l.fault) + l.table.size() +
		(cap(l.skipped.First)+cap(l.unusable.First))*int(unsafe.Sizeof(int(0)))
}

// Size returns how many bytes the policy takes in memory where it is in force: its own, and those of its entries in the index of a
// snapshot. The lists that it uses are not its own.
func (c *Compiled) Size() int {
	size := int(unsafe.Sizeof(*c)) + len(c.name.Namespace) + len(c.name.Name) + len(c.scope) + len(c.message)
	size += sizeOfTexts(c.sources) + sizeOfTexts(c.written.allowLists) + sizeOfTexts(c.written.profile) + sizeOfTexts(c.written.profileOn)
	for _, attribute := range c.profile {
		size += 2*int(unsafe.Sizeof(attribute)) + len(attribute.Value) // in sent, too
	}
	for _, rejection := range c.rejections {
		size += int(unsafe.Sizeof(rejection)) + len(rejection.Path) + len(rejection.Message)
	}
	size += cap(c.rules) + len(c.lists)*(int(unsafe.Sizeof(listRule{}))+int(unsafe.Sizeof(use{})))
	return size + c.ruleCount*int(unsafe.Sizeof(posting{}))
}

func sizeOfTexts[Text ~string](texts []Text) int {
	size := cap(texts) * stringSize
	for _, text := range texts {
		size += len(text)
	}
	return size
}
