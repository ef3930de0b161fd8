package policylint

import (
	"slices"
	"strings"

	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/violation"
	"registrationpolicy.dev/operator/rules"
)

// SilencePrefix is the start of the name of an annotation that silences the warnings of one kind on its object. The id
// of the kind follows it, and the value of the annotation is the reason.
const SilencePrefix = "lint.registrationpolicy.dev/"

// silence removes the warnings that annotations silence, and returns how many it removed. It adds a finding for each
// annotation that has no reason, or that silences nothing.
func (f *finder) silence() (silenced int) {
	for _, policy := range f.inOrder {
		for _, annotation := range policy.Annotations(SilencePrefix) {
			count := 0
			f.findings = slices.DeleteFunc(f.findings, func(x Finding) bool {
				matches := x.Policy == policy.PolicyName && x.ID == annotation.Name && x.Severity == Warning && isSilenceable(x.ID)
				if matches {
					count++
				}
				return matches
			})
			silenced += count
			f.examine(policy.PolicyName, annotation, count > 0 || policy.Refused)
		}
	}
	for _, list := range f.lists {
		for _, annotation := range list.Annotations(SilencePrefix) {
			f.examine(rules.PolicyName{}, annotation, false)
		}
	}
	return silenced
}

// isSilenceable reports whether an annotation can silence warnings of a kind. It cannot silence those about
// annotations, because it could then hide the warning about itself.
func isSilenceable(id string) bool { return id != unusedSilence && id != emptySilence }

// examine adds a finding if an annotation has no reason, or silences nothing. used means that it silences something.
func (f *finder) examine(policy rules.PolicyName, annotation policyfile.Annotation, used bool) {
	id := annotation.Name
	if !violation.IsFieldName(id) {
		id = "…" // it may be an address
	}
	finding := Finding{
		Severity: Warning, At: annotation.At, Policy: policy, Path: "metadata.annotations[" + SilencePrefix + id + "]",
	}
	severity, known := severityOf(annotation.Name)
	switch {
	case !known:
		finding.ID = unusedSilence
		finding.Message = "no finding has the id " + id + ": write one of docs/reference/regpol-lint.md"
	case severity == Error:
		finding.ID = unusedSilence
		finding.Message = "an error cannot be silenced: correct it, and remove the annotation"
	case !used:
		finding.ID = unusedSilence
		finding.Message = "it silences nothing on this object: remove the annotation"
	case strings.TrimSpace(annotation.Value) == "":
		finding.ID = emptySilence
		finding.Message = "it has no reason: write why the warning is expected"
	default:
		return
	}
	f.add(finding)
}
