package budget

import "fmt"

// What stored bytes take in memory, while a change is made, too. They are upper bounds for what is measured by `make memory`.
const (
	// policyBase is for an object, its status, and its compiled form.
	policyBase = 4608
	// policyFactor is for each byte of a spec as JSON: the cached text, the entries, the compiled form, and a build of them.
	policyFactor = 4
	// listBase is for a list of whatever size.
	listBase = 64 << 10
	// textVersions is how often the text of a list is there during a change: in what two versions were compiled to.
	textVersions = 2
	// lineBytes is for each line of a list: its place in two tables, of which one grows.
	lineBytes = 16
	// lastPage is what may be free of a table until it is complete.
	lastPage = 1 << 20
)

// PolicyCost returns how many bytes of memory a policy takes whose spec has so many bytes as JSON.
func PolicyCost(spec int64) int64 { return policyBase + policyFactor*spec }

// ListCost returns how many bytes of memory a list takes, while it is replaced by another such, too.
func ListCost(text, lines int64) int64 {
	return listBase + textVersions*text + min(text, lastPage) + lineBytes*lines
}

// Size writes bytes for people: in KiB, or in MiB with one digit after the point where that says more.
func Size(bytes int64) string {
	const kib, mib, whole = 1 << 10, 1 << 20, 10
	switch {
	case bytes < mib:
		return fmt.Sprintf("%d KiB", (bytes+kib-1)/kib)
	case bytes < whole*mib:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
	default:
		return fmt.Sprintf("%d MiB", (bytes+mib-1)/mib)
	}
}
