package policyfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"registrationpolicy.dev/operator/internal/policyobject"
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
	said := policyobject.Violation(err)
	if err.Field == "metadata.name" && err.Type == field.ErrorTypeRequired {
		return "metadata.name: required: write a name" // generateName is for the API server alone
	}
	value, isScalar := d.scalar(err.Field)
	if !isScalar || err.Type == field.ErrorTypeForbidden {
		return said
	}
	ofOneValue := err.Type != field.ErrorTypeDuplicate && err.Type != field.ErrorTypeTypeInvalid
	if fix := policyobject.EntryFix(err.Field, value); fix != "" && ofOneValue {
		return err.Field + ": " + fix
	}
	if strings.HasPrefix(err.Field, "spec.profile[") && !strings.HasSuffix(err.Field, ".attribute") {
		return said // it may be about a person
	}
	if _, in, isEntry := policyobject.EntryAt(err.Field); isEntry && (in == "addresses" || !policyobject.InOneWord(value)) {
		return said // what has no @ may be a local part
	}
	if rest, found := strings.CutPrefix(said, err.Field+": "); found && policyobject.Quotable(value) {
		return fmt.Sprintf("%s: %q: %s", err.Field, value, rest)
	}
	return said
}
