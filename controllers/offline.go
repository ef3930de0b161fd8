package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/api/v1alpha1"
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
	schema, err := newSpecSchema()
	if err != nil {
		return nil, err
	}
	return &Offline{directory: &Directory{schema: schema, publisher: publisher{logger: logr.Discard()}}}, nil
}

// ReadObjects reads policies as they are stored in a cluster. One that the schema refuses is not understood, as in the
// operator.
func (o *Offline) ReadObjects(ctx context.Context, objects []unstructured.Unstructured) []ReadPolicy {
	policies := make([]ReadPolicy, len(objects))
	for i := range objects {
		policies[i] = ReadPolicy{Policy: (&converter{o.directory.schema}).convert(ctx, &objects[i])}
	}
	return policies
}

// ReadFiles reads policies from files and directories; "-" is stdin. Of a directory it reads what the operator would; a
// file that is named may have any name. A list, as kubectl writes it, is read as its items. The error joins all faults,
// each with file, line and mend.
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
	policies := make([]ReadPolicy, len(documents))
	for i, document := range documents {
		policies[i] = ReadPolicy{document.policy, document}
	}
	return policies, nil
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
			return nil, fmt.Errorf("%s: over %d octets", name, maxFile)
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
		return nil, fmt.Errorf("%s:1: empty; is it what you mean?", f.name)
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
			inGroup(apiVersion) && kind == policyKind+"List" {
			return o.readList(ctx, name, text, node)
		} else if apiVersion != "" && kind != "" && !inGroup(apiVersion) {
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
		if kind, apiVersion := scalar(found.node, "kind"), scalar(found.node, "apiVersion"); apiVersion != "" && !inGroup(apiVersion) {
			o.others = append(o.others, found.place("kind")+": "+kind)
			continue
		}
		if err := o.directory.readPolicy(ctx, found, item); err != nil {
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

// scalar returns the text of a member, and "" where there is none.
func scalar(node *yaml.Node, name string) string {
	if _, value := child(node, name); value != nil && value.Kind == yaml.ScalarNode {
		return value.Value
	}
	return ""
}
