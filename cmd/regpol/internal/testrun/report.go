package testrun

import (
	"bytes"
	"fmt"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/junit"
)

// The report is the output of -o json and -o yaml, a part of the interface that docs/reference/regpol-test.md describes.
// Empty members are left out.
type (
	testReport struct {
		Passed   int              `json:"passed"`
		Failed   int              `json:"failed"`
		Files    []testFileReport `json:"files"`
		Coverage *coverageReport  `json:"coverage,omitempty"`
	}

	testFileReport struct {
		File  string       `json:"file"`
		Cases []caseReport `json:"cases"`
	}

	caseReport struct {
		Name     string          `json:"name"`
		Line     int             `json:"line"`
		Passed   bool            `json:"passed"`
		Failures []failureReport `json:"failures,omitempty"`
	}

	// failureReport is one call of a case that is decided otherwise than expected.
	failureReport struct {
		// Call is the address of the call. For a case with Request it is the file, and for a case with Every an example
		// address (see policytest.Case).
		Call        string   `json:"call"`
		Differences []string `json:"differences"`
		Explanation string   `json:"explanation"`
	}

	// coverageReport counts the entries and messages of all policies.
	coverageReport struct {
		Covered   int               `json:"covered"`
		Total     int               `json:"total"`
		Uncovered []uncoveredReport `json:"uncovered"`
	}

	uncoveredReport struct {
		Policy string `json:"policy"`
		Path   string `json:"path"`
		At     string `json:"at"` // file:line
	}
)

func (r *testReport) add(file testFileReport) {
	r.Files = append(r.Files, file)
	for _, c := range file.Cases {
		if c.Passed {
			r.Passed++
		} else {
			r.Failed++
		}
	}
}

// percent returns how many percent are covered, rounded down.
func (c *coverageReport) percent() int {
	if c.Total == 0 {
		return 100
	}
	return c.Covered * 100 / c.Total
}

func (r *testReport) write(s console.Streams, o *policyTestOptions) error {
	if o.output == junit.Format {
		text, err := r.junit()
		if err != nil {
			return err
		}
		_, err = s.Out.Write(text)
		return err
	}
	return console.WriteReport(s, o.output, r, func() []byte { return r.text(o.verbose, s.Coloured()) })
}

// text returns the report as `go test` prints its own: a line for each file, and what fails in full.
func (r *testReport) text(verbose, coloured bool) []byte {
	var w bytes.Buffer
	for _, file := range r.Files {
		if len(file.Cases) == 0 {
			continue // no name of a case matches --run
		}
		failed := 0
		for _, c := range file.Cases {
			if c.Passed {
				if verbose {
					fmt.Fprintf(&w, "%s  %s (%s:%d)\n", console.InkAllowed.Paint("pass", coloured), console.QuoteIfNeeded(c.Name),
						file.File, c.Line)
				}
				continue
			}
			failed++
			fmt.Fprintf(&w, "%s  %s (%s:%d)\n", console.InkDenied.Paint("fail", coloured), console.QuoteIfNeeded(c.Name), file.File, c.Line)
			for _, failure := range c.Failures {
				fmt.Fprintf(&w, "  %s: %s\n", console.QuoteIfNeeded(failure.Call), strings.Join(failure.Differences, "; "))
				for line := range strings.Lines(failure.Explanation) {
					fmt.Fprintf(&w, "    %s", line)
				}
			}
		}
		if failed == 0 {
			fmt.Fprintf(&w, "ok    %s  %s\n", file.File, console.Counted(len(file.Cases), "case", "cases"))
		} else {
			fmt.Fprintf(&w, "FAIL  %s  %d of %s\n", file.File, failed, console.Counted(len(file.Cases), "case", "cases"))
		}
	}
	if r.Coverage != nil {
		fmt.Fprintf(&w, "\ncoverage  %d %%: %d of %d entries and messages\n", r.Coverage.percent(), r.Coverage.Covered, r.Coverage.Total)
		for _, uncovered := range r.Coverage.Uncovered {
			fmt.Fprintf(&w, "  no case covers %s %s (%s)\n", uncovered.Policy, uncovered.Path, uncovered.At)
		}
	}
	return w.Bytes()
}

// junit returns the report as JUnit XML.
func (r *testReport) junit() ([]byte, error) {
	suites := junit.Suites{Tests: r.Passed + r.Failed, Failures: r.Failed}
	for _, file := range r.Files {
		suite := junit.Suite{Name: file.File, Tests: len(file.Cases)}
		for _, c := range file.Cases {
			element := junit.Case{Name: c.Name, ClassName: file.File, File: file.File, Line: c.Line}
			if !c.Passed {
				suite.Failures++
				var messages []string
				var text strings.Builder
				for _, failure := range c.Failures {
					message := failure.Call + ": " + strings.Join(failure.Differences, "; ")
					messages = append(messages, message)
					fmt.Fprintf(&text, "%s\n%s\n", message, failure.Explanation)
				}
				element.Failure = &junit.Failure{Message: strings.Join(messages, "; "), Text: text.String()}
			}
			suite.Cases = append(suite.Cases, element)
		}
		suites.Suites = append(suites.Suites, suite)
	}
	return suites.Encode()
}
