package policyfile

import (
	"cmp"
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"registrationpolicy.dev/operator/internal/violation"
)

// violations returns an error that joins one error for each mistake, by line. Each names file and line, what is wrong
// with the value there, and the fix.
func (d *document) violations(errs field.ErrorList) error {
	errs = violation.Distinct(errs)
	slices.SortStableFunc(errs, func(a, b *field.Error) int { return cmp.Compare(d.Line(a.Field), d.Line(b.Field)) })
	var joined []error
	var texts []string
	for _, err := range errs {
		text := d.Place(err.Field) + ": " + d.violation(err)
		if !slices.Contains(texts, text) {
			joined, texts = append(joined, errors.New(text)), append(texts, text)
		}
	}
	return errors.Join(joined...)
}

// violation returns the text for one mistake, without file and line.
func (d *document) violation(err *field.Error) string {
	if err.Field == "metadata.name" && err.Type == field.ErrorTypeRequired {
		return "metadata.name: required: write a name" // Kubernetes also offers generateName, which only an API server has
	}
	if value, isScalar := d.Find(err.Field).Text(); isScalar {
		return violation.TextOf(err, value)
	}
	return violation.Text(err)
}
