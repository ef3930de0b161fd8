package policyfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"registrationpolicy.dev/operator/internal/violation"
	"registrationpolicy.dev/operator/internal/yamldoc"
	"registrationpolicy.dev/operator/rules"
)

// Mistake is an error in the content of a file whose YAML syntax is valid. An API server, or an operator with
// --policy-dir, refuses such content.
type Mistake struct {
	// ID is the kind of the mistake: one of [violation.IDs], or [EmptyFile], [NotAnObject], [DuplicateObject] or
	// [UnlabelledList].
	ID violation.ID
	// At is the place of the mistake.
	At yamldoc.Position
	// Policy is the policy that has the mistake. It is the zero value for other objects, and for a policy whose metadata
	// is not valid.
	Policy rules.PolicyName
	// Path is the path of the value, for example spec.allow.domains[3]; "" for a whole file or object.
	Path string
	// Value is the text at Path as its author wrote it, "" if it is not a scalar. Corrected is what to write instead, ""
	// unless exactly one correction is likely. Both may hold the local part of an address.
	Value, Corrected string
	// Message says what is wrong, and the fix. It holds no local part.
	Message string
}

// The kinds of mistakes that are about a whole file or object.
const (
	// EmptyFile: a file without content.
	EmptyFile violation.ID = "empty-file"
	// NotAnObject: a document that is not an object.
	NotAnObject violation.ID = "not-an-object"
	// DuplicateObject: a second object of the same kind, namespace and name.
	DuplicateObject violation.ID = "duplicate-object"
	// UnlabelledList: a ConfigMap without the label of a list.
	UnlabelledList violation.ID = "unlabelled-list"
)

// MistakeIDs returns all kinds of mistakes.
func MistakeIDs() []violation.ID {
	return append(violation.IDs(), EmptyFile, NotAnObject, DuplicateObject, UnlabelledList)
}

// Error returns the message, with file, line and path.
func (m *Mistake) Error() string {
	path := ""
	if m.Path != "" {
		path = m.Path + ": "
	}
	return fmt.Sprintf("%s:%d: %s%s", m.At.File, m.At.Line, path, m.Message)
}

// mistakeAt returns a mistake about the whole object. Its position is that of the value at path.
func (d *document) mistakeAt(path string, id violation.ID, format string, args ...any) *Mistake {
	return &Mistake{ID: id, At: d.PositionOf(path), Policy: d.policy.PolicyName, Message: fmt.Sprintf(format, args...)}
}

// violations converts violations of the schema to an error that joins one [Mistake] for each cause, sorted by line.
func (d *document) violations(errs field.ErrorList) error {
	errs = violation.Distinct(errs)
	slices.SortStableFunc(errs, func(a, b *field.Error) int { return cmp.Compare(d.Line(a.Field), d.Line(b.Field)) })
	var joined []error
	var texts []string
	for _, err := range errs {
		mistake := d.mistake(err)
		if text := mistake.Error(); !slices.Contains(texts, text) {
			joined, texts = append(joined, mistake), append(texts, text)
		}
	}
	return errors.Join(joined...)
}

// mistake converts a violation of the schema to a [Mistake] with its position in the file.
func (d *document) mistake(err *field.Error) *Mistake {
	value, isScalar := d.Find(err.Field).Text()
	text := violation.Text(err)
	switch {
	case err.Field == "metadata.name" && err.Type == field.ErrorTypeRequired:
		text = "metadata.name: required: write a name" // Kubernetes also offers generateName, which only an API server has
	case isScalar:
		text = violation.TextOf(err, value)
	}
	return &Mistake{
		ID: violation.IDOf(err), At: d.PositionOf(err.Field), Policy: d.policy.PolicyName, Path: err.Field, Value: value,
		Corrected: violation.Corrected(err, value), Message: strings.TrimPrefix(text, err.Field+": "),
	}
}
