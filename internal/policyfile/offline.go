package policyfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// Offline reads policies once, for programs that explain what the operator would decide by them. What it reads goes the
// way that a running operator's policies go.
type Offline struct {
	directory *Directory
	others    []string
}

// ReadPolicy is a policy that was read once.
type ReadPolicy struct {
	rules.Policy
	document *document
}

// Place returns file:line of a path such as spec.allow.domains[3], and "" for a policy that came from no file.
func (p *ReadPolicy) Place(path string) string {
	if p.document == nil {
		return ""
	}
	return p.document.place(path)
}

// NewOffline returns a reader. It fails only where the operator was built wrong.
func NewOffline() (*Offline, error) {
	schema, err := policyobject.NewSchema()
	if err != nil {
		return nil, err
	}
	return &Offline{directory: &Directory{
		schema: schema, lists: publish.NewLists(nil), logger: logr.Discard(),
	}}, nil
}

// ReadObjects reads policies as they are stored in a cluster, with the lists that they name. The ConfigMaps for these are asked
// for only if a policy names any. A policy that the schema refuses is not understood, as in the operator.
func (o *Offline) ReadObjects(
	ctx context.Context, objects []unstructured.Unstructured, lists func(context.Context) ([]corev1.ConfigMap, error),
) ([]ReadPolicy, error) {
	policies := make([]ReadPolicy, len(objects))
	for i := range objects {
		policies[i] = ReadPolicy{Policy: o.directory.schema.Convert(ctx, &objects[i])}
	}
	if !slices.ContainsFunc(policies, func(policy ReadPolicy) bool { return len(policy.UsedLists()) > 0 }) {
		return policies, nil
	}
	found, err := lists(ctx)
	if err != nil {
		return nil, err
	}
	maps := fileMaps{}
	for i := range found {
		maps[types.NamespacedName{Namespace: found[i].Namespace, Name: found[i].Name}] = &found[i]
	}
	return policies, o.resolve(ctx, maps, policies)
}

// resolve gives policies their lists.
func (o *Offline) resolve(ctx context.Context, maps fileMaps, policies []ReadPolicy) error {
	bare := make([]rules.Policy, len(policies))
	for i := range policies {
		bare[i] = policies[i].Policy
	}
	resolved, err := resolveFiles(ctx, o.directory.lists, maps, bare)
	if err != nil {
		return err
	}
	for i := range policies {
		policies[i].Policy = resolved[i]
	}
	return nil
}

// ReadFiles reads policies, and the ConfigMaps with their lists, from files and directories; "-" is stdin. Of a directory it
// reads what the operator would; a file that is named may have any name. A list of objects, as kubectl writes it, is read as its
// items. The error joins all faults, each with file, line and fix.
//
// Objects of other API groups are left out and can be asked for by Others: a rendered chart or a GitOps directory has
// such.
func (o *Offline) ReadFiles(ctx context.Context, paths []string, stdin io.Reader) ([]ReadPolicy, error) {
	o.others = nil
	var documents []*document
	var errs []error
	for _, path := range paths {
		files, err := openFiles(path, stdin)
		errs = append(errs, err)
		for _, file := range files {
			if file.ignored {
				continue
			}
			found, err := o.readFile(ctx, file)
			documents = append(documents, found...)
			errs = append(errs, err)
		}
	}
	errs = append(errs, unique(documents))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	documents, lists := splitLists(documents)
	policies := make([]ReadPolicy, len(documents))
	for i, document := range documents {
		policies[i] = ReadPolicy{document.policy, document}
	}
	return policies, o.resolve(ctx, lists, policies)
}

// Others returns file:line and kind of the objects that the last ReadFiles left out.
func (o *Offline) Others() []string { return o.others }

func openFiles(path string, stdin io.Reader) ([]file, error) {
	if path == "-" {
		const name = "stdin"
		text, err := io.ReadAll(io.LimitReader(stdin, maxFile+1))
		switch {
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", name, err)
		case len(text) > maxFile:
			return nil, fmt.Errorf("%s: over %d bytes", name, maxFile)
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
		return nil, fmt.Errorf("%s:1: empty: write a policy, or leave the file out", f.name)
	}
	var documents []*document
	var errs []error
	for _, text := range splitDocuments(f.text) {
		found, err := o.readDocument(ctx, f.name, text)
		documents = append(documents, found...)
		errs = append(errs, err)
	}
	return documents, errors.Join(errs...)
}

// readDocument looks only for what a policy file must not hold. What may be a policy is left to the operator's own
// reading.
func (o *Offline) readDocument(ctx context.Context, name string, text []byte) ([]*document, error) {
	if node, err := onlyNode(name, text); err == nil && node != nil {
		if kind, apiVersion := scalar(node, "kind"), scalar(node, "apiVersion"); apiVersion == "v1" && kind == "List" ||
			inGroup(apiVersion) && kind == policyobject.Kind+"List" {
			return o.readList(ctx, name, text, node)
		} else if apiVersion != "" && kind != "" && !inGroup(apiVersion) && !isListNode(node) {
			o.others = append(o.others, (&document{file: name, node: node}).place("kind")+": "+kind)
			return nil, nil
		}
	}
	found, err := o.directory.parseDocument(ctx, name, text)
	if found == nil || err != nil {
		return nil, err
	}
	return []*document{found}, nil
}

func (o *Offline) readList(ctx context.Context, name string, text []byte, node *yaml.Node) ([]*document, error) {
	asJSON, err := sigsyaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, yamlError(name, text, err)
	}
	var list struct {
		Items []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(asJSON, &list); err != nil {
		return nil, fmt.Errorf("%s:%d: not a list of objects", name, node.Line)
	}
	_, items := child(node, "items")
	if len(list.Items) > 0 && (items == nil || len(items.Content) != len(list.Items)) {
		return nil, fmt.Errorf("%s:%d: write the items of the list in place, not as an alias", name, node.Line)
	}
	var documents []*document
	var errs []error
	for i, item := range list.Items {
		found := &document{file: name, node: items.Content[i]}
		kind, apiVersion := scalar(found.node, "kind"), scalar(found.node, "apiVersion")
		if apiVersion != "" && !inGroup(apiVersion) && !isListNode(found.node) {
			o.others = append(o.others, found.place("kind")+": "+kind)
			continue
		}
		var err error
		if isConfigMap(item) {
			err = found.readList(item)
		} else {
			err = o.directory.readPolicy(ctx, found, item)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		documents = append(documents, found)
	}
	return documents, errors.Join(errs...)
}

func inGroup(apiVersion string) bool {
	group, _, _ := strings.Cut(apiVersion, "/")
	return group == v1alpha1.GroupVersion.Group
}

// isListNode tells ConfigMaps with the label of a list from all others, which are left out.
func isListNode(node *yaml.Node) bool {
	if scalar(node, "apiVersion") != "v1" || scalar(node, "kind") != "ConfigMap" {
		return false
	}
	_, metadata := child(node, "metadata")
	if metadata == nil {
		return false
	}
	_, labels := child(metadata, "labels")
	return labels != nil && scalar(labels, listconfigmap.Label) == listconfigmap.LabelTrue
}

// scalar returns the text of a member, and "" where there is none.
func scalar(node *yaml.Node, name string) string {
	if _, value := child(node, name); value != nil && value.Kind == yaml.ScalarNode {
		return value.Value
	}
	return ""
}
