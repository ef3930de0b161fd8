package lint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/junit"
	"registrationpolicy.dev/operator/internal/policylint"
	"registrationpolicy.dev/operator/internal/version"
)

// The escapes of GitHub's workflow commands, in their texts and in their properties.
// https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
var (
	githubText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// github returns the findings as workflow commands, which GitHub shows in a pull request at their lines.
func (r *lintReport) github() []byte {
	var w bytes.Buffer
	for i := range r.Findings {
		f := &r.Findings[i]
		var properties []string
		if f.File != "" {
			properties = append(properties, "file="+githubProperty.Replace(filepath.ToSlash(f.File)),
				"line="+strconv.Itoa(f.Line), "col="+strconv.Itoa(f.Column))
		}
		properties = append(properties, "title="+githubProperty.Replace(f.ID))
		text := f.sentence()
		if f.File == "" {
			text = f.Policy + ": " + text
		}
		fmt.Fprintf(&w, "::%s %s::%s\n", f.Severity, strings.Join(properties, ","), githubText.Replace(text))
	}
	return w.Bytes()
}

// The part of SARIF 2.1.0 that code scanning reads. https://docs.oasis-open.org/sarif/sarif/v2.1.0/
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}

	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}

	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}

	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}

	sarifRule struct {
		ID            string             `json:"id"`
		Configuration sarifConfiguration `json:"defaultConfiguration"`
	}

	sarifConfiguration struct {
		Level string `json:"level"`
	}

	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}

	sarifText struct {
		Text string `json:"text"`
	}

	sarifLocation struct {
		Physical *sarifPhysicalLocation `json:"physicalLocation,omitempty"`
		Logical  []sarifLogicalLocation `json:"logicalLocations,omitempty"`
	}

	sarifPhysicalLocation struct {
		Artefact sarifArtefact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}

	sarifArtefact struct {
		URI string `json:"uri"`
	}

	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}

	sarifLogicalLocation struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
)

// sarif returns the findings as a SARIF log.
func (r *lintReport) sarif() ([]byte, error) {
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "regpol", Version: version.String()}},
		ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
	}
	kinds := policylint.Kinds()
	for _, kind := range kinds {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{kind.ID, sarifConfiguration{string(kind.Severity)}})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		var location sarifLocation
		if f.File != "" {
			location.Physical = &sarifPhysicalLocation{sarifArtefact{fileURI(f.File)}, sarifRegion{f.Line, f.Column}}
		}
		if f.Policy != "" {
			location.Logical = []sarifLogicalLocation{{f.Policy}}
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: f.ID, RuleIndex: slices.IndexFunc(kinds, func(k policylint.Kind) bool { return k.ID == f.ID }),
			Level: string(f.Severity), Message: sarifText{f.sentence()}, Locations: []sarifLocation{location},
		})
	}
	var w bytes.Buffer
	encoder := json.NewEncoder(&w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
	return w.Bytes(), err
}

// fileURI returns the URI of a file: a relative reference for a relative path, else a URI with the scheme file.
func fileURI(path string) string {
	uri := url.URL{Path: filepath.ToSlash(path)}
	if filepath.IsAbs(path) {
		uri.Scheme, uri.Path = "file", "/"+strings.TrimPrefix(uri.Path, "/")
	}
	return uri.String()
}

// junit returns a test case for each policy, and for each file with findings that belong to no policy. A case fails if
// one of its findings causes exit code 1 (see lintReport.fails). Its other findings are its output.
func (r *lintReport) junit() ([]byte, error) {
	var suites junit.Suites
	for _, object := range r.objects {
		name := object.file
		if name == "" {
			name = "cluster"
		}
		i := slices.IndexFunc(suites.Suites, func(s junit.Suite) bool { return s.Name == name })
		if i < 0 {
			i = len(suites.Suites)
			suites.Suites = append(suites.Suites, junit.Suite{Name: name})
		}
		element := junit.Case{Name: object.policy, ClassName: name, File: object.file, Line: object.line}
		if element.Name == "" {
			element.Name = name
		}
		var failures, others strings.Builder
		for j := range r.Findings {
			switch f := &r.Findings[j]; {
			case object.file != f.File || object.policy != f.Policy:
			case r.fails(f):
				failures.WriteString(f.line(string(f.Severity)))
			default:
				others.WriteString(f.line(string(f.Severity)))
			}
		}
		if failures.Len() > 0 {
			findings := strings.Count(failures.String(), "\n")
			element.Failure = &junit.Failure{Message: console.Counted(findings, "finding", "findings"), Text: failures.String()}
			suites.Failures++
			suites.Suites[i].Failures++
		}
		element.Output = others.String()
		suites.Tests++
		suites.Suites[i].Tests++
		suites.Suites[i].Cases = append(suites.Suites[i].Cases, element)
	}
	return suites.Encode()
}
