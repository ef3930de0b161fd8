package policyfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/yamldoc"
	"registrationpolicy.dev/operator/rules"
)

// Offline reads policies once, from files or from objects of a cluster, for a program such as `regpol explain`. It
// reads policies and their lists by the same rules as a running operator, so that their decisions are the operator's.
type Offline struct {
	parser  *parser
	lists   *publish.Lists
	skipped []string // file:line and kind of the objects that were skipped last
}

// ReadPolicy is a policy that an [Offline] has read.
type ReadPolicy struct {
	rules.Policy
	document *document // nil if it was not read from a file
}

// Place returns file:line of the value at a path such as spec.allow.domains[3]. It returns "" if the policy was not
// read from a file.
func (p *ReadPolicy) Place(path string) string {
	if p.document == nil {
		return ""
	}
	return p.document.Place(path)
}

// NewOffline returns a reader. It fails only if the schema of the policies cannot be built.
func NewOffline() (*Offline, error) {
	schema, err := policyobject.NewSchema()
	if err != nil {
		return nil, err
	}
	return &Offline{parser: &parser{schema}, lists: publish.NewLists(nil)}, nil
}

// ReadObjects converts the policy objects of a cluster, and reads the lists that they name from the ConfigMaps that the
// function lists returns. It calls lists only if a policy names a list: otherwise the caller needs no right to read
// ConfigMaps. A policy that does not match the schema is returned with the reason in NotUnderstood, as in the operator.
// ReadObjects fails only if lists does.
func (o *Offline) ReadObjects(
	ctx context.Context, objects []unstructured.Unstructured, lists func(context.Context) ([]corev1.ConfigMap, error),
) ([]ReadPolicy, error) {
	policies := make([]ReadPolicy, len(objects))
	for i := range objects {
		policies[i] = ReadPolicy{Policy: o.parser.schema.Convert(ctx, &objects[i])}
	}
	if !slices.ContainsFunc(policies, func(policy ReadPolicy) bool { return len(policy.UsedLists()) > 0 }) {
		return policies, nil
	}
	found, err := lists(ctx)
	if err != nil {
		return nil, err
	}
	maps := configMaps{}
	for i := range found {
		maps[types.NamespacedName{Namespace: found[i].Namespace, Name: found[i].Name}] = &found[i]
	}
	return policies, o.resolve(ctx, maps, policies)
}

// resolve sets the lists that the policies name, compiled from the ConfigMaps in maps.
func (o *Offline) resolve(ctx context.Context, maps configMaps, policies []ReadPolicy) error {
	unresolved := make([]rules.Policy, len(policies))
	for i := range policies {
		unresolved[i] = policies[i].Policy
	}
	resolved, err := resolveFiles(ctx, o.lists, maps, unresolved)
	if err != nil {
		return err
	}
	for i := range policies {
		policies[i].Policy = resolved[i]
	}
	return nil
}

// ReadFiles reads policies, and the ConfigMaps with their lists, from files and directories; the path "-" is stdin. In
// a directory it reads the same files as the operator; a path that names a file may end in any extension. A document
// may be a list of objects, as `kubectl get -o yaml` prints it. The error joins one error for each mistake, each with
// file, line and fix.
//
// ReadFiles skips objects of other API groups, because rendered charts and GitOps directories often contain some.
// [Offline.Others] returns them.
func (o *Offline) ReadFiles(ctx context.Context, paths []string, stdin io.Reader) ([]ReadPolicy, error) {
	files, err := openAll(paths, stdin)
	return o.read(ctx, files, err)
}

// openAll reads the files of all paths. Next to an error it returns the files that could be read.
func openAll(paths []string, stdin io.Reader) ([]file, error) {
	var files []file
	var errs []error
	for _, path := range paths {
		opened, err := openFiles(path, stdin)
		files = append(files, opened...)
		errs = append(errs, err)
	}
	return files, errors.Join(errs...)
}

// Text is a file that a caller has read, for example from a Git revision.
type Text struct {
	Name string // for messages
	Text []byte // its content
}

// ReadTexts reads policies and lists as [Offline.ReadFiles] does, but checks neither names nor sizes. The caller must
// leave out files of a directory that [IsPolicyFile] does not accept, and files over [MaxFile].
func (o *Offline) ReadTexts(ctx context.Context, texts []Text) ([]ReadPolicy, error) {
	return o.read(ctx, filesOf(texts), nil)
}

func filesOf(texts []Text) []file {
	files := make([]file, len(texts))
	for i, text := range texts {
		files[i] = file{name: text.Name, text: text.Text}
	}
	return files
}

// Directories returns a directory and those below it, in lexical order. It leaves out directories below it whose names
// start with a dot, and does not follow symbolic links there. Another path, such as a file or "-", is returned alone.
func Directories(path string) ([]string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, nil //nolint:nilerr // reading the path fails with a better text
	}
	var found []string
	// The separator at the end makes WalkDir follow path if it is a symbolic link to a directory.
	err := filepath.WalkDir(path+string(filepath.Separator), func(at string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case len(found) > 0 && isHidden(entry.Name()):
			return fs.SkipDir
		}
		found = append(found, filepath.Clean(at))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	return found, nil
}

// read reads the policies of files, with their lists. err is the error of the files that could not be opened.
func (o *Offline) read(ctx context.Context, files []file, err error) ([]ReadPolicy, error) {
	documents, err := o.readDocuments(ctx, files, err)
	if err != nil {
		return nil, err
	}
	documents, lists := splitLists(documents)
	return o.resolvedPolicies(ctx, documents, lists)
}

// readDocuments reads the documents of files. Next to an error it returns the documents that could be read. The error
// joins err, that of the files that could not be opened.
func (o *Offline) readDocuments(ctx context.Context, files []file, err error) ([]*document, error) {
	o.skipped = nil
	var documents []*document
	errs := []error{err}
	for _, file := range files {
		if file.ignored {
			continue
		}
		found, err := o.readFile(ctx, file)
		documents = append(documents, found...)
		errs = append(errs, err)
	}
	return documents, errors.Join(append(errs, unique(documents))...)
}

// resolvedPolicies returns the policies of documents, with their lists.
func (o *Offline) resolvedPolicies(ctx context.Context, documents []*document, lists configMaps) ([]ReadPolicy, error) {
	policies := make([]ReadPolicy, len(documents))
	for i, document := range documents {
		policies[i] = ReadPolicy{document.policy, document}
	}
	return policies, o.resolve(ctx, lists, policies)
}

// Others returns file:line and kind of the objects that the last [Offline.ReadFiles] or [Offline.ReadTexts] skipped.
func (o *Offline) Others() []string { return o.skipped }

// openFiles reads the files of a path that was given to ReadFiles.
func openFiles(path string, stdin io.Reader) ([]file, error) {
	if path == "-" {
		const name = "stdin"
		text, err := io.ReadAll(io.LimitReader(stdin, MaxFile+1))
		switch {
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", name, err)
		case len(text) > MaxFile:
			return nil, fmt.Errorf("%s: over %d bytes", name, MaxFile)
		}
		return []file{{name: name, text: text}}, nil
	}
	found, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read policies: %w", err)
	case found.IsDir():
		files, _, err := readStable(path)
		return files, err
	}
	text, err := readFile(path, path)
	if err != nil {
		return nil, err
	}
	return []file{{name: path, text: text}}, nil
}

func (o *Offline) readFile(ctx context.Context, f file) ([]*document, error) {
	if len(bytes.TrimSpace(f.text)) == 0 {
		return nil, emptyFile(f.name, "write a policy, or leave the file out")
	}
	var documents []*document
	var errs []error
	for _, text := range yamldoc.Split(f.text) {
		found, err := o.readDocument(ctx, f.name, text)
		documents = append(documents, found...)
		errs = append(errs, err)
	}
	return documents, errors.Join(errs...)
}

// readDocument reads the document in text. It differs from parser.parseDocument, which the operator uses, in two ways:
// it reads the items of a list of objects, and it skips objects of other API groups.
func (o *Offline) readDocument(ctx context.Context, name string, text []byte) ([]*document, error) {
	if node, err := yamldoc.Parse(name, text); err == nil && node != nil {
		switch apiVersion, kind := typeOf(node); {
		case apiVersion == "v1" && kind == "List", inGroup(apiVersion) && kind == policyobject.Kind+"List":
			return o.readList(ctx, name, text, node)
		case kind != "" && o.skip(node):
			return nil, nil
		}
	}
	found, err := o.parser.parseDocument(ctx, name, text)
	if found == nil {
		return nil, err
	}
	return []*document{found}, err
}

// readList reads the items of the list of objects in text. node is the parsed text, from which positions are taken.
func (o *Offline) readList(ctx context.Context, name string, text []byte, node *yamldoc.Node) ([]*document, error) {
	asJSON, err := yamldoc.ToJSON(name, text)
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(asJSON, &list); err != nil {
		return nil, (&document{Node: node}).mistakeAt("", NotAnObject, "not a list of objects")
	}
	items := node.Get("items").Items()
	if len(items) != len(list.Items) {
		return nil, fmt.Errorf("%s: write the items of the list in place, not by a merge key", node.Place(""))
	}
	var documents []*document
	var errs []error
	for i, item := range list.Items {
		found := &document{Node: items[i]}
		if o.skip(found.Node) {
			continue
		}
		var err error
		if isConfigMap(item) {
			err = found.readList(item)
		} else {
			err = o.parser.readPolicy(ctx, found, item)
		}
		if err != nil {
			errs = append(errs, err)
		}
		if err == nil || found.refused {
			documents = append(documents, found)
		}
	}
	return documents, errors.Join(errs...)
}

// skip reports whether an object is neither of the API group of policies nor a list in a ConfigMap. It then adds the
// object to those that [Offline.Others] returns.
func (o *Offline) skip(object *yamldoc.Node) bool {
	apiVersion, kind := typeOf(object)
	if apiVersion == "" || inGroup(apiVersion) || isListNode(object) {
		return false
	}
	o.skipped = append(o.skipped, object.Place("kind")+": "+kind)
	return true
}

// typeOf returns apiVersion and kind of an object, "" if it lacks them.
func typeOf(object *yamldoc.Node) (apiVersion, kind string) {
	apiVersion, _ = object.Get("apiVersion").Text()
	kind, _ = object.Get("kind").Text()
	return apiVersion, kind
}

// inGroup reports whether an apiVersion is of the API group of policies.
func inGroup(apiVersion string) bool {
	group, _, _ := strings.Cut(apiVersion, "/")
	return group == v1alpha1.GroupVersion.Group
}

// isListNode reports whether an object is a ConfigMap with the label of a list.
func isListNode(object *yamldoc.Node) bool {
	apiVersion, kind := typeOf(object)
	label, _ := object.Get("metadata", "labels", listconfigmap.Label).Text()
	return apiVersion == "v1" && kind == "ConfigMap" && label == listconfigmap.LabelTrue
}
