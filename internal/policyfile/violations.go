package policyfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"registrationpolicy.dev/operator/internal/policyobject"
)

// violations returns an error that joins errs, each with file and line, the value as written there, and the fix.
func (d *document) violations(errs field.ErrorList) error {
	var joined []error
	var texts []string
	for _, err := range errs {
		text := d.place(err.Field) + ": " + d.violation(err)
		if !slices.Contains(texts, text) { // a value that violates two rules can have the same fix for both
			joined, texts = append(joined, errors.New(text)), append(texts, text)
		}
	}
	return errors.Join(joined...)
}

func (d *document) violation(err *field.Error) string {
	text := policyobject.Violation(err)
	if err.Field == "metadata.name" && err.Type == field.ErrorTypeRequired {
		return "metadata.name: required: write a name" // only an API server supports generateName
	}
	value, isScalar := d.scalar(err.Field)
	if !isScalar || err.Type == field.ErrorTypeForbidden {
		return text
	}
	ofOneValue := err.Type != field.ErrorTypeDuplicate && err.Type != field.ErrorTypeTypeInvalid
	if fix := policyobject.EntryFix(err.Field, value); fix != "" && ofOneValue {
		return err.Field + ": " + fix
	}
	if strings.HasPrefix(err.Field, "spec.profile[") && !strings.HasSuffix(err.Field, ".attribute") {
		return text // the value may be personal
	}
	if _, in, isEntry := policyobject.EntryAt(err.Field); isEntry && (in == "addresses" || !policyobject.InOneWord(value)) {
		return text // a value without an @ may be a local part
	}
	if rest, found := strings.CutPrefix(text, err.Field+": "); found && policyobject.Quotable(value) {
		return fmt.Sprintf("%s: %q: %s", err.Field, value, rest)
	}
	return text
}
