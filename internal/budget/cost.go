package budget

import "fmt"

// These figures are upper bounds of the memory that `make memory` measures. They include a second version of each
// object, because the earlier version stays in force until the new one is built.
const (
	// policyBase is how many bytes an object, its status and its compiled form take, in addition to those for its spec.
	policyBase = 4608
	// policyFactor is how many bytes each byte of a spec as JSON takes: in the cached text, in the entries, in the
	// compiled form, and during its build.
	policyFactor = 4
	// listBase is how many bytes a list takes in addition to those for its text and its lines.
	listBase = 64 << 10
	// textVersions is how many copies of a list's text exist during a change: in the old and in the new compiled list.
	textVersions = 2
	// lineBytes covers the entries for one line in two hash tables: that of the old compiled list, and that of the new
	// one, which is growing.
	lineBytes = 16
	// lastPage is the size in bytes of the pages in which a compiled list keeps its entries. While the list is
	// compiled, most of the last page may be unused.
	lastPage = 1 << 20
)

// PolicyCost returns how many bytes of memory a policy takes, given the size in bytes of its spec as JSON.
func PolicyCost(spec int64) int64 { return policyBase + policyFactor*spec }

// ListCost returns how many bytes of memory a list takes at most, including while a list of the same size replaces it.
func ListCost(text, lines int64) int64 {
	return listBase + textVersions*text + min(text, lastPage) + lineBytes*lines
}

// Size formats a number of bytes for people: below 1 MiB in KiB, below 10 MiB in MiB with one decimal, else in MiB.
func Size(bytes int64) string {
	const kib, mib, wholeFrom = 1 << 10, 1 << 20, 10
	switch {
	case bytes < mib:
		return fmt.Sprintf("%d KiB", (bytes+kib-1)/kib)
	case bytes < wholeFrom*mib:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
	default:
		return fmt.Sprintf("%d MiB", (bytes+mib-1)/mib)
	}
}
