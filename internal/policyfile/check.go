package policyfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/yamldoc"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// Checked is what [Offline.Check] or [Offline.CheckObjects] has read.
type Checked struct {
	// Policies are all policies, those with mistakes included, in the order of the files.
	Policies []CheckedPolicy
	// Lists are the objects that hold lists. CheckObjects returns none.
	Lists []CheckedList
	// Mistakes are the mistakes in files. For policies of a cluster, they are the reasons why an operator does not
	// understand a policy.
	Mistakes []*Mistake
	// Others are file:line and kind of objects that were skipped: they are neither policies nor lists.
	Others []string
}

// CheckedPolicy is a policy, and where its parts are written.
type CheckedPolicy struct {
	ReadPolicy
	// Refused means that the policy has a mistake, which is in Mistakes. The policy is not enforceable then.
	Refused bool
	// Warnings are about values of spec.profile without quotes that YAML may not read as text. A policy of a cluster has
	// none, because its object does not show quotes.
	Warnings []lint.Warning

	object *yamldoc.Node
}

// CheckedList is a ConfigMap with a list.
type CheckedList struct {
	types.NamespacedName
	object *yamldoc.Node
}

// Annotation is an annotation of an object.
type Annotation struct {
	// Name is the name of the annotation without the prefix that the caller gave.
	Name string
	// Value is the text of the annotation.
	Value string
	// At is where the name of the annotation is written.
	At yamldoc.Position
}

// Position returns where the value at a path is written. File is "" for an object of a cluster.
func (p *CheckedPolicy) Position(path string) yamldoc.Position { return p.object.PositionOf(path) }

// Value returns the text at a path as it is written, "" if it is not a scalar. It may be personal: it may hold the
// local part of an address.
func (p *CheckedPolicy) Value(path string) string {
	text, _ := p.object.Find(path).Text()
	return text
}

// Annotations returns the annotations of the policy whose names begin with a prefix.
func (p *CheckedPolicy) Annotations(prefix string) []Annotation { return annotations(p.object, prefix) }

// Annotations returns the annotations of the ConfigMap whose names begin with a prefix.
func (l *CheckedList) Annotations(prefix string) []Annotation { return annotations(l.object, prefix) }

func annotations(object *yamldoc.Node, prefix string) []Annotation {
	const metadata, field = "metadata", "annotations"
	var found []Annotation
	all := object.Get(metadata, field)
	for _, name := range all.Fields() {
		if suffix, ok := strings.CutPrefix(name, prefix); ok {
			value, _ := all.Get(name).Text()
			found = append(found, Annotation{suffix, value, object.Position(metadata, field, name)})
		}
	}
	return found
}

// Check reads policies and lists like [Offline.ReadFiles], and returns the mistakes in them instead of failing. A file
// that is in two of the paths is read once. Check fails if a file cannot be read or is not YAML; the error then joins an
// error for each such file.
func (o *Offline) Check(ctx context.Context, paths []string, stdin io.Reader) (*Checked, error) {
	files, err := openAll(paths, stdin)
	var read []string
	files = slices.DeleteFunc(files, func(f file) bool {
		again := slices.Contains(read, filepath.Clean(f.name))
		read = append(read, filepath.Clean(f.name))
		return again
	})
	return o.check(ctx, files, err)
}

// CheckTexts does for texts what [Offline.Check] does for files.
func (o *Offline) CheckTexts(ctx context.Context, texts []Text) (*Checked, error) {
	return o.check(ctx, filesOf(texts), nil)
}

// check reads files. err is the error of those that could not be opened.
func (o *Offline) check(ctx context.Context, files []file, err error) (*Checked, error) {
	documents, err := o.readDocuments(ctx, files, err)
	checked := &Checked{Others: o.skipped}
	var unreadable []error
	for _, err := range joinedErrors(err) {
		if mistake, ok := errors.AsType[*Mistake](err); ok {
			checked.Mistakes = append(checked.Mistakes, mistake)
		} else {
			unreadable = append(unreadable, err)
		}
	}
	if err := errors.Join(unreadable...); err != nil {
		return nil, err
	}
	for _, document := range documents {
		if document.list != nil {
			name := types.NamespacedName{Namespace: document.list.Namespace, Name: document.list.Name}
			checked.Lists = append(checked.Lists, CheckedList{name, document.Node})
		}
	}
	documents, lists := splitLists(documents)
	policies, err := o.resolvedPolicies(ctx, documents, lists)
	if err != nil {
		return nil, err
	}
	for i, document := range documents {
		found := CheckedPolicy{ReadPolicy: policies[i], Refused: document.refused, object: document.Node}
		if !document.refused {
			found.Warnings = document.valueWarnings()
		}
		checked.Policies = append(checked.Policies, found)
	}
	return checked, nil
}

// CheckObjects reads policies and lists like [Offline.ReadObjects], and returns the mistakes in them. It fails only if
// lists does.
func (o *Offline) CheckObjects(
	ctx context.Context, objects []unstructured.Unstructured, lists func(context.Context) ([]corev1.ConfigMap, error),
) (*Checked, error) {
	policies, err := o.ReadObjects(ctx, objects, lists)
	if err != nil {
		return nil, err
	}
	checked := &Checked{}
	for i := range objects {
		asJSON, err := objects[i].MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", policies[i].PolicyName, err)
		}
		object, err := yamldoc.Parse("", asJSON) // JSON is YAML
		if err != nil || object == nil {
			return nil, fmt.Errorf("%s: not an object", policies[i].PolicyName)
		}
		found := CheckedPolicy{ReadPolicy: policies[i], object: object}
		if policies[i].NotUnderstood != "" {
			stored := &document{Node: object, policy: rules.Policy{PolicyName: policies[i].PolicyName}}
			violations := stored.violations(o.parser.schema.Violations(ctx, &objects[i]))
			for _, err := range joinedErrors(violations) {
				if mistake, ok := errors.AsType[*Mistake](err); ok {
					checked.Mistakes, found.Refused = append(checked.Mistakes, mistake), true
				}
			}
		}
		checked.Policies = append(checked.Policies, found)
	}
	return checked, nil
}
