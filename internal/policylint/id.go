package policylint

import (
	"slices"

	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// Severity is how much a finding matters.
type Severity string

const (
	// Error is a finding about something that is not in force.
	Error Severity = "error"
	// Warning is a finding about something that is in force, and probably not what was meant.
	Warning Severity = "warning"
)

// The ids of findings that are neither in [policyfile.MistakeIDs] nor in [lint.IDs].
const (
	notUnderstood  = "not-understood"
	notInForce     = "not-in-force"
	listNotFound   = "list-not-found"
	listInvalid    = "list-invalid"
	outsideScope   = "outside-scope"
	listNotInFiles = "list-not-in-files"
	unusedSilence  = "unused-silence"
	emptySilence   = "silence-without-reason"
)

// Kind is a kind of finding.
type Kind struct {
	// ID never changes, because annotations and tools name it.
	ID string
	// Severity is the severity of all findings of the kind.
	Severity Severity
}

// Kinds returns all kinds of findings.
func Kinds() []Kind {
	var kinds []Kind
	for _, id := range policyfile.MistakeIDs() {
		kinds = append(kinds, Kind{string(id), Error})
	}
	for _, id := range []string{notUnderstood, notInForce, listNotFound, listInvalid, outsideScope} {
		kinds = append(kinds, Kind{id, Error})
	}
	for _, id := range lint.IDs() {
		kinds = append(kinds, Kind{string(id), Warning})
	}
	for _, id := range []string{listNotInFiles, unusedSilence, emptySilence} {
		kinds = append(kinds, Kind{id, Warning})
	}
	return kinds
}

// severityOf returns the severity of a kind of finding; found is false if there is no such kind.
func severityOf(id string) (severity Severity, found bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.ID == id })
	if i < 0 {
		return "", false
	}
	return kinds[i].Severity, true
}

// idOf returns the id of the findings about a rejection.
func idOf(rejection *rules.Rejection) string {
	switch rejection.Cause {
	case rules.CauseListNotFound:
		return listNotFound
	case rules.CauseListInvalid, rules.CauseOverBudget:
		return listInvalid
	default:
		return notInForce
	}
}
