package policyfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	strictjson "sigs.k8s.io/json"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/violation"
	"registrationpolicy.dev/operator/internal/yamldoc"
	"registrationpolicy.dev/operator/rules"
)

const (
	// maxFile is the largest file in bytes. An API server accepts objects of up to 1.5 MiB.
	maxFile = 4 << 20
	// fileNamespace is the namespace of a policy without metadata.namespace, as with kubectl.
	fileNamespace = metav1.NamespaceDefault
)

// file is the content of one file.
type file struct {
	name string // the path as given by the caller, with the file name
	text []byte
	// ignored means that the extension is not one of a policy file; text is empty.
	ignored bool
}

// document is one object in a file: a policy, or a ConfigMap with a list.
type document struct {
	*yamldoc.Node

	policy rules.Policy
	list   *corev1.ConfigMap // nil for a policy
}

// name returns the kind and name, which must be unique among all documents.
func (d *document) name() string {
	if d.list != nil {
		return "ConfigMap " + d.list.Namespace + "/" + d.list.Name
	}
	return "policy " + d.policy.String()
}

// readFiles reads the YAML and JSON files of a directory, sorted by name. Other files are returned as ignored. It skips
// directories and names that start with a dot.
//
// A kubelet puts the files of a volume into a directory that the symlink ..data points to, and each new version into a
// new directory. readFiles resolves that symlink once, so that all files are of the same version.
func readFiles(dir string) ([]file, error) {
	from := dir
	if volume, err := filepath.EvalSymlinks(filepath.Join(dir, "..data")); err == nil {
		from = volume
	}
	entries, err := os.ReadDir(from) // sorted
	if err != nil {
		return nil, fmt.Errorf("read policy files: %w", err)
	}
	var files []file
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(dir, name)
		info, err := os.Stat(filepath.Join(from, name)) // follows symlinks
		switch {
		case err != nil:
			return nil, fmt.Errorf("read policy file: %w", err)
		case info.IsDir():
			continue
		case !info.Mode().IsRegular(): // reading a pipe can block for ever
			return nil, fmt.Errorf("%s: neither a file nor a directory; remove it, or begin its name with a dot", path)
		case !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)):
			files = append(files, file{name: path, ignored: true})
			continue
		}
		text, err := readFile(filepath.Join(from, name), path)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: path, text: text})
	}
	return files, nil
}

// readFile reads the file at path. Errors call it name.
func readFile(path, name string) ([]byte, error) {
	opened, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	}
	defer func() { _ = opened.Close() }()
	text, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: over %d bytes; split it into several files", name, maxFile)
	}
	return text, nil
}

// parse reads the documents of a file. The error joins all errors that were found, each with file and line.
//
// An empty file is an error: an interrupted editor or a full disk leaves one behind, and what the file denied must stay
// denied.
func (d *Directory) parse(ctx context.Context, f file) ([]*document, error) {
	if len(bytes.TrimSpace(f.text)) == 0 {
		return nil, fmt.Errorf("%s:1: empty; write a policy, or a comment if there is to be none, or remove the file", f.name)
	}
	var documents []*document
	var errs []error
	for _, text := range yamldoc.Split(f.text) {
		found, err := d.parseDocument(ctx, f.name, text)
		if err != nil {
			errs = append(errs, err)
		}
		if found != nil {
			documents = append(documents, found)
		}
	}
	return documents, errors.Join(errs...)
}

func (d *Directory) parseDocument(ctx context.Context, name string, text []byte) (*document, error) {
	node, err := yamldoc.Parse(name, text)
	if node == nil || err != nil {
		return nil, err
	}
	found := &document{Node: node}
	asJSON, err := yamldoc.ToJSON(name, text)
	if err != nil {
		return nil, err
	}
	object := map[string]any{}
	if err := json.Unmarshal(asJSON, &object); err != nil {
		return nil, fmt.Errorf("%s: not an object; write apiVersion, kind, metadata and spec", found.Place(""))
	}
	if isConfigMap(object) {
		err = found.readList(object)
	} else {
		err = d.readPolicy(ctx, found, object)
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// readPolicy validates the object of a document and converts it to a policy.
func (d *Directory) readPolicy(ctx context.Context, found *document, object map[string]any) error {
	spec, errs := d.checkObject(ctx, object)
	if len(errs) > 0 {
		return found.violations(errs)
	}
	object["spec"] = spec
	policy := &unstructured.Unstructured{Object: object}
	if policy.GetNamespace() == "" {
		policy.SetNamespace(fileNamespace)
	}
	found.policy = d.schema.Convert(ctx, policy)
	return nil
}

// checkObject validates an object as an API server does with strict field validation. It returns the spec with
// defaults.
func (d *Directory) checkObject(ctx context.Context, object map[string]any) (spec map[string]any, errs field.ErrorList) {
	known := []string{"apiVersion", "kind", "metadata", "spec", "status"}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(known, name) {
			errs = append(errs, d.schema.UnknownField(name, known))
		}
	}
	errs = append(errs, checkType(object, "apiVersion", v1alpha1.GroupVersion.String(), "")...)
	errs = append(errs, checkType(object, "kind", policyobject.Kind,
		", or ConfigMap with apiVersion v1 for a list; other objects do not belong here")...)
	errs = append(errs, checkMetadata(object["metadata"])...)
	spec, isObject := object["spec"].(map[string]any)
	if !isObject {
		return nil, append(errs, field.Required(field.NewPath("spec"), "write what the policy allows or denies"))
	}
	spec, violations := d.schema.Validate(ctx, spec)
	return spec, append(errs, violations...)
}

// checkType checks one of the fields apiVersion and kind. alternative ends the fix for a field with another value.
func checkType(object map[string]any, name, want, alternative string) field.ErrorList {
	switch got, found := object[name]; {
	case !found:
		return field.ErrorList{field.Required(field.NewPath(name), "write "+want)}
	case got != want:
		return field.ErrorList{field.Invalid(field.NewPath(name), nil, "write "+want+alternative)}
	default:
		return nil
	}
}

// unknownField matches the error of a strict JSON decoder about a field that the Go type does not have.
var unknownField = regexp.MustCompile(`^unknown field "(.*)"$`)

// strictViolation returns the violation for an error of a strict JSON decoder about an object. known are the fields that
// people write there.
func strictViolation(problem error, object *field.Path, known ...string) *field.Error {
	if match := unknownField.FindStringSubmatch(problem.Error()); match != nil {
		return violation.UnknownField(object.Child(match[1]).String(), known, nil)
	}
	return field.Forbidden(object, "write each field once") // a duplicate field
}

func checkMetadata(metadata any) field.ErrorList {
	path := field.NewPath("metadata")
	asJSON, err := json.Marshal(metadata)
	if err != nil {
		return field.ErrorList{field.Invalid(path, nil, "write an object with a name")}
	}
	var typed metav1.ObjectMeta
	unknown, err := strictjson.UnmarshalStrict(asJSON, &typed)
	if err != nil {
		return field.ErrorList{field.Invalid(path, nil, "write an object with a name, and put numbers, true and false among names, labels and annotations in quotes")}
	}
	var errs field.ErrorList
	for _, problem := range unknown {
		errs = append(errs, strictViolation(problem, path, "name", "namespace", "labels", "annotations"))
	}
	if typed.Namespace == "" {
		typed.Namespace = fileNamespace
	}
	return append(errs, validation.ValidateObjectMeta(&typed, true, validation.NameIsDNSSubdomain, path)...)
}
