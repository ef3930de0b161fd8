package policyfile

import (
	"bytes"
	"cmp"
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
	// MaxFile is the largest file in bytes. An API server accepts objects of up to 1.5 MiB.
	MaxFile = 4 << 20
	// TestExtension is the end of the name of a file with tests of policies. Such a file may be in the same directory as
	// the policies.
	TestExtension = ".regpol-test.yaml"
	// fileNamespace is the namespace of a policy without metadata.namespace, as with kubectl.
	fileNamespace = metav1.NamespaceDefault
)

// file is one file, and its content.
type file struct {
	name string // the path that messages show: the directory as the caller gave it, and the name of the file
	text []byte
	// ignored means that the name has no extension of a policy file; text is empty then.
	ignored bool
}

// document is an object in a file: a policy, or a ConfigMap with a list.
type document struct {
	*yamldoc.Node

	policy rules.Policy
	list   *corev1.ConfigMap // nil for a policy
	// refused: the policy has mistakes and is not enforceable. The policy then has a name only if its metadata is valid.
	refused bool
}

// name returns the kind, namespace and name of the object. Two documents with the same name are a mistake.
func (d *document) name() string {
	if d.list != nil {
		return "ConfigMap " + d.list.Namespace + "/" + d.list.Name
	}
	return "policy " + d.policy.String()
}

// parser reads the documents of files.
type parser struct {
	schema *policyobject.Schema
}

// IsPolicyFile reports whether a file of this base name is read if it is in a directory of policies.
func IsPolicyFile(name string) bool {
	return !isHidden(name) && !isTest(name) && hasExtension(name)
}

// isHidden reports whether files and directories of this base name are skipped.
func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

// isTest reports whether a file of this base name has tests of policies.
func isTest(name string) bool { return strings.HasSuffix(name, TestExtension) }

// hasExtension reports whether a base name has an extension of a policy file.
func hasExtension(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

// readFiles reads the YAML and JSON files of a directory, sorted by name. It returns other files as ignored, without
// their content. It skips directories, names that start with a dot, and tests of policies.
//
// The directory may be a volume of Kubernetes. A kubelet writes each version of a volume to a new directory, and makes
// the symlink ..data point there. readFiles resolves that symlink once. Otherwise a change during the read could mix
// files of two versions.
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
		if isHidden(name) || isTest(name) {
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
		case !hasExtension(name):
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

// readFile reads the file at path. name is the name of the file in errors.
func readFile(path, name string) ([]byte, error) {
	opened, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	}
	defer func() { _ = opened.Close() }()
	text, err := io.ReadAll(io.LimitReader(opened, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	}
	if len(text) > MaxFile {
		return nil, fmt.Errorf("%s: over %d bytes; split it into several files", name, MaxFile)
	}
	return text, nil
}

// parse reads the documents of a file. The error joins one error for each mistake, each with file and line.
//
// An empty file is an error. An interrupted editor or a full disk can leave one behind, and reading it as no policies
// would allow what the lost policies deny.
func (p *parser) parse(ctx context.Context, f file) ([]*document, error) {
	if len(bytes.TrimSpace(f.text)) == 0 {
		return nil, emptyFile(f.name, "write a policy, or a comment if there is to be none, or remove the file")
	}
	var documents []*document
	var errs []error
	for _, text := range yamldoc.Split(f.text) {
		found, err := p.parseDocument(ctx, f.name, text)
		if err != nil {
			errs = append(errs, err)
		} else if found != nil {
			documents = append(documents, found)
		}
	}
	return documents, errors.Join(errs...)
}

func emptyFile(name, fix string) *Mistake {
	return &Mistake{ID: EmptyFile, At: yamldoc.Position{File: name, Line: 1, Column: 1}, Message: "empty; " + fix}
}

// parseDocument reads the document in text. It returns nil if there are only comments. If a policy has mistakes, it
// returns both the policy, as refused, and the error. With any other error it returns nil.
func (p *parser) parseDocument(ctx context.Context, name string, text []byte) (*document, error) {
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
		return nil, found.mistakeAt("", NotAnObject, "not an object; write apiVersion, kind, metadata and spec")
	}
	if isConfigMap(object) {
		err = found.readList(object)
	} else {
		err = p.readPolicy(ctx, found, object)
	}
	if err != nil && !found.refused {
		return nil, err
	}
	return found, err
}

// readPolicy validates object and sets found.policy to it. object is the decoded value of the document found. If object
// has mistakes, readPolicy marks found as refused and returns the mistakes.
func (p *parser) readPolicy(ctx context.Context, found *document, object map[string]any) error {
	spec, errs := p.checkObject(ctx, object)
	policy := &unstructured.Unstructured{Object: object}
	if len(errs) > 0 {
		if _, isObject := object["metadata"].(map[string]any); isObject && len(checkMetadata(object["metadata"])) == 0 {
			found.policy.PolicyName = rules.PolicyName{Namespace: cmp.Or(policy.GetNamespace(), fileNamespace), Name: policy.GetName()}
		}
		found.policy.NotUnderstood, found.refused = "it has mistakes", true
		return found.violations(errs)
	}
	object["spec"] = spec
	if policy.GetNamespace() == "" {
		policy.SetNamespace(fileNamespace)
	}
	found.policy = p.schema.Convert(ctx, policy)
	return nil
}

// checkObject validates a policy object as an API server does with strict field validation (kubectl's default). It
// returns the spec completed with the defaults of the schema.
func (p *parser) checkObject(ctx context.Context, object map[string]any) (spec map[string]any, errs field.ErrorList) {
	known := []string{"apiVersion", "kind", "metadata", "spec", "status"}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains(known, name) {
			errs = append(errs, p.schema.UnknownField(name, known))
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
	spec, violations := p.schema.Validate(ctx, spec)
	return spec, append(errs, violations...)
}

// checkType checks that object[name] is want. name is apiVersion or kind. alternative ends the message if the value is
// another one.
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

// unknownField matches the error of the strict JSON decoder about a field that the Go type does not have.
var unknownField = regexp.MustCompile(`^unknown field "(.*)"$`)

// strictViolation returns the violation for an error of the strict JSON decoder about an object. known are the fields
// of the object that a message may suggest.
func strictViolation(problem error, object *field.Path, known ...string) *field.Error {
	if match := unknownField.FindStringSubmatch(problem.Error()); match != nil {
		return violation.UnknownField(object.Child(match[1]).String(), known, nil)
	}
	return field.Forbidden(object, "write each field once") // a duplicate field
}

// checkMetadata validates the metadata of an object as an API server does.
func checkMetadata(metadata any) field.ErrorList {
	path := field.NewPath("metadata")
	asJSON, err := json.Marshal(metadata)
	if err != nil {
		return field.ErrorList{field.Invalid(path, nil, "write an object with a name")}
	}
	var typed metav1.ObjectMeta
	unknown, err := strictjson.UnmarshalStrict(asJSON, &typed)
	if err != nil {
		return field.ErrorList{field.Invalid(path, nil,
			"write an object with a name, and put numbers, true and false among names, labels and annotations in quotes")}
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
