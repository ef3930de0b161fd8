package listguard

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
)

// changesTooMuch returns a refusal if added and removed entries together are more than MaxChange percent of the old
// content.
func (c *Change) changesTooMuch() []Refusal {
	if c.Old == nil || c.Old.Entries() == 0 {
		return nil
	}
	added, removed := c.Count()
	percent := 100 * float64(added+removed) / float64(c.Old.Entries())
	if percent <= c.MaxChange {
		return nil
	}
	plural := "entries"
	if c.Old.Entries() == 1 {
		plural = "entry"
	}
	text := fmt.Sprintf("%d added and %d removed, of %d %s: %.1f %%, more than --max-change allows (%g %%)",
		added, removed, c.Old.Entries(), plural, percent, c.MaxChange)
	if added > 0 {
		text += "; added: " + firstEntries(c.added(), added)
	}
	if removed > 0 {
		text += "; removed: " + firstEntries(entriesNotIn(c.Old, c.New), removed)
	}
	return []Refusal{{Kind: TooMuchChange, Text: text}}
}

// firstEntries lists the first entries in alphabetical order, and counts the rest. count is the number of all entries.
func firstEntries(entries iter.Seq[string], count int) string {
	names := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for entry := range entries {
			if !yield(withoutLocalPart(entry)) {
				return
			}
		}
	}))
	if len(names) <= maxReported {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxReported], ", ") + fmt.Sprintf(" and %d more", max(count, len(names))-maxReported)
}

// Count returns the numbers of added and removed entries.
func (c *Change) Count() (added, removed int) {
	for range c.added() {
		added++
	}
	for range entriesNotIn(c.Old, c.New) {
		removed++
	}
	return added, removed
}

// added yields the entries that the old content does not have.
func (c *Change) added() iter.Seq[string] { return entriesNotIn(c.New, c.Old) }

// entriesNotIn yields the entries of list that other does not have. Either may be nil.
func entriesNotIn(list, other *rules.List) iter.Seq[string] {
	return func(yield func(string) bool) {
		if list == nil {
			return
		}
		for entry := range list.All() {
			if (other == nil || !other.Has(entry)) && !yield(entry) {
				return
			}
		}
	}
}
