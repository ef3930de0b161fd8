package lint

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/junit"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policylint"
	"registrationpolicy.dev/operator/rules"
)

// The report is the output of -o json and -o yaml, a part of the interface that docs/reference/regpol-lint.md describes.
// Empty members are left out.
type (
	lintReport struct {
		Errors   int             `json:"errors"`
		Warnings int             `json:"warnings"`
		Silenced int             `json:"silenced"`
		Policies int             `json:"policies"`
		Findings []findingReport `json:"findings"`

		objects []lintObject
		failOn  policylint.Severity
	}

	findingReport struct {
		ID        string              `json:"id"`
		Severity  policylint.Severity `json:"severity"`
		File      string              `json:"file,omitempty"`
		Line      int                 `json:"line,omitempty"`
		Column    int                 `json:"column,omitempty"`
		Policy    string              `json:"policy,omitempty"`
		Path      string              `json:"path,omitempty"`
		Value     string              `json:"value,omitempty"`
		Message   string              `json:"message"`
		Corrected string              `json:"corrected,omitempty"`
	}

	// lintObject is a policy that was examined, or a file with findings that belong to no policy. The file is "" in a
	// cluster.
	lintObject struct {
		file, policy string
		line         int
	}
)

func newLintReport(checked *policyfile.Checked, result policylint.Result, failOn policylint.Severity) *lintReport {
	r := &lintReport{Silenced: result.Silenced, Policies: len(checked.Policies), Findings: []findingReport{}, failOn: failOn}
	for i := range checked.Policies {
		policy := &checked.Policies[i]
		at := policy.Position("metadata.name")
		if policy.Name != "" && !r.examined(at.File, policy.String()) {
			r.objects = append(r.objects, lintObject{at.File, policy.String(), at.Line})
		}
	}
	for _, found := range result.Findings {
		finding := findingReport{
			ID: found.ID, Severity: found.Severity, Path: found.Path, Value: found.Value, Message: found.Message,
			Corrected: found.Corrected,
		}
		if found.At.File != "" {
			finding.File, finding.Line, finding.Column = found.At.File, found.At.Line, found.At.Column
		}
		if found.Policy != (rules.PolicyName{}) {
			finding.Policy = found.Policy.String()
		}
		if found.Severity == policylint.Error {
			r.Errors++
		} else {
			r.Warnings++
		}
		if !r.examined(finding.File, finding.Policy) {
			r.objects = append(r.objects, lintObject{finding.File, finding.Policy, finding.Line})
		}
		r.Findings = append(r.Findings, finding)
	}
	return r
}

// examined reports whether r.objects has an element with this file and policy.
func (r *lintReport) examined(file, policy string) bool {
	return slices.ContainsFunc(r.objects, func(o lintObject) bool { return o.file == file && o.policy == policy })
}

// fails reports whether a finding causes exit code 1: an error always does, a warning with --fail-on warning.
func (r *lintReport) fails(f *findingReport) bool {
	return f.Severity == policylint.Error || r.failOn == policylint.Warning
}

// failed reports whether at least one finding of the report causes exit code 1.
func (r *lintReport) failed() bool {
	return r.Errors > 0 || r.failOn == policylint.Warning && r.Warnings > 0
}

func (r *lintReport) write(s console.Streams, output string) error {
	var written []byte
	var err error
	switch output {
	case outputSARIF:
		written, err = r.sarif()
	case outputGitHub:
		written = r.github()
	case junit.Format:
		written, err = r.junit()
	default:
		return console.WriteReport(s, output, r, func() []byte { return r.text(s.Coloured()) })
	}
	if err != nil {
		return err
	}
	_, err = s.Out.Write(written)
	return err
}

// place returns where a finding is: file:line:column, or the policy of a cluster.
func (f *findingReport) place() string {
	if f.File == "" {
		return f.Policy
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

// sentence returns the finding without its place and severity. If the message does not quote the value that the finding
// is about, or the corrected value, sentence adds it.
func (f *findingReport) sentence() string {
	var w strings.Builder
	w.WriteString(f.Path)
	if f.Path != "" && f.Value != "" && !strings.Contains(f.Message, f.Value) {
		fmt.Fprintf(&w, " %q", f.Value)
	}
	if f.Path != "" {
		w.WriteString(": ")
	}
	w.WriteString(f.Message)
	if f.Corrected != "" && !strings.Contains(f.Message, f.Corrected) {
		fmt.Fprintf(&w, "; corrected: %q", f.Corrected)
	}
	return w.String()
}

// line returns the finding in one line, as compilers print theirs. severity is its severity, with or without colour.
func (f *findingReport) line(severity string) string {
	return fmt.Sprintf("%s: %s: %s [%s]\n", f.place(), severity, f.sentence(), f.ID)
}

// text returns a line for each finding, and a line with the counts.
func (r *lintReport) text(coloured bool) []byte {
	var w bytes.Buffer
	for i := range r.Findings {
		f := &r.Findings[i]
		severity := console.InkFault
		if f.Severity == policylint.Error {
			severity = console.InkDenied
		}
		w.WriteString(f.line(severity.Paint(string(f.Severity), coloured)))
	}
	fmt.Fprintf(&w, "%s, %s in %s", console.Counted(r.Errors, "error", "errors"), console.Counted(r.Warnings, "warning", "warnings"),
		console.Counted(r.Policies, "policy", "policies"))
	if r.Silenced > 0 {
		fmt.Fprintf(&w, "; %s silenced", console.Counted(r.Silenced, "warning", "warnings"))
	}
	fmt.Fprintln(&w)
	return w.Bytes()
}
