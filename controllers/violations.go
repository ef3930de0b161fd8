package controllers

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// violations returns an error that joins what a document violates, each with file and line, the value as it is written there, and
// what to write instead.
func (d *document) violations(errs field.ErrorList) error {
	var joined []error
	var said []string
	for _, err := range errs {
		text := d.place(err.Field) + ": " + d.violation(err)
		if !slices.Contains(said, text) { // two rules on one value have one fix
			joined, said = append(joined, errors.New(text)), append(said, text)
		}
	}
	return errors.Join(joined...)
}

func (d *document) violation(err *field.Error) string {
	said := violation(err)
	if err.Field == "metadata.name" && err.Type == field.ErrorTypeRequired {
		return "metadata.name: required: write a name" // generateName is for the API server alone
	}
	value, isScalar := d.scalar(err.Field)
	if !isScalar || err.Type == field.ErrorTypeForbidden {
		return said
	}
	if fix := entryFix(err.Field, value); fix != "" && err.Type != field.ErrorTypeDuplicate && err.Type != field.ErrorTypeTypeInvalid {
		return err.Field + ": " + fix
	}
	if strings.HasPrefix(err.Field, "spec.profile[") && !strings.HasSuffix(err.Field, ".attribute") {
		return said // it may be about a person
	}
	if entryPath.MatchString(err.Field) && (strings.Contains(err.Field, ".addresses[") || !inOneWord(value)) {
		return said // what has no @ may be a local part
	}
	if rest, found := strings.CutPrefix(said, err.Field+": "); found && quotable(value) {
		return fmt.Sprintf("%s: %q: %s", err.Field, value, rest)
	}
	return said
}

// shapes are what the fields with a pattern hold: a pattern is no sentence.
var shapes = []struct {
	path  *regexp.Regexp
	write string
}{
	{regexp.MustCompile(`^spec\.appliesTo\.sources\[`),
		"write the id of an enrolment policy or rule of Okta: letters and digits, such as rul1bufGk5dJdRYw50g4"},
	{regexp.MustCompile(`^spec\.profile\[\d+\]\.attribute$`),
		"write the variable name of an attribute in Okta: a letter, then letters, digits and underscores, such as userType"},
	{regexp.MustCompile(`\.configMap\.name$`),
		"write the name of a ConfigMap: small letters, digits, - and ., with a letter or digit at both ends"},
	{regexp.MustCompile(`\.(key|keys\[\d+\])$`), "write a key of a ConfigMap: letters, digits, -, _ and ."},
	{regexp.MustCompile(`\.lists\[\d+\]\.name$`), "write a name such as partners: small letters, digits and -, with a letter or digit at both ends"},
	{regexp.MustCompile(`^spec\.message$`), "write one line of plain text, or leave the field out"},
	{regexp.MustCompile(`^metadata\.name$`),
		"write a name as in Kubernetes (RFC 1123): small letters, digits, - and ., with a letter or digit at both ends"},
	{regexp.MustCompile(`^metadata\.namespace$`),
		"write a name as in Kubernetes (RFC 1123): small letters, digits and -, with a letter or digit at both ends"},
	{regexp.MustCompile(`^metadata\.(labels|annotations)`),
		"write names and values as in Kubernetes: letters, digits, -, _ and ., with a letter or digit at both ends; a name may have a domain and / in front"},
	{entryPath, "write a domain such as acme.com, or, among addresses, a plain address such as jo@acme.com"},
}

// shape returns what to write into a field whose pattern its value does not match.
func shape(path string) string {
	for _, shape := range shapes {
		if shape.path.MatchString(path) {
			return shape.write
		}
	}
	return "write it as docs/reference/policy.md says"
}
