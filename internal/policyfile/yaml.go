package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// onlyNode returns the value of the one document that text holds, and nil where there are but comments. A second document is
// an error: the decoders would leave it unread, and it may deny something.
func onlyNode(name string, text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var found *yaml.Node
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, yamlError(name, text, err)
		case len(node.Content) == 0 || node.Content[0].Tag == "!!null":
		case found != nil:
			return nil, fmt.Errorf("%s:%d: another document begins here; write --- alone on the line before it", name, node.Line)
		default:
			found = node.Content[0]
		}
	}
}

var (
	yamlLine = regexp.MustCompile(`line ([0-9]+): (.*)`)
	// quoted is what a decoder quotes of a file, but for punctuation and plain names.
	quoted = regexp.MustCompile(`"[^"]*@[^"]*"`)
)

// yamlError says where a document is not YAML, and what to do. The decoders name a line in most cases only; without one it is
// the line on which the document begins.
func yamlError(name string, text []byte, err error) error {
	var errs []error
	for _, found := range yamlLine.FindAllStringSubmatch(err.Error(), -1) {
		errs = append(errs, fmt.Errorf("%s:%s: %s", name, found[1], yamlMend(found[2])))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	begin := 1 + bytes.Count(text, []byte("\n")) - bytes.Count(bytes.TrimLeft(text, "\n"), []byte("\n"))
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	return errors.New(name + ":" + strconv.Itoa(begin) + ": " + yamlMend(problem))
}

// yamlMend adds to what a decoder says of a document what to write instead.
func yamlMend(problem string) string {
	switch {
	case strings.Contains(problem, "anchor"), strings.Contains(problem, "alphabetic or numeric"):
		return `to YAML, a value that begins with * is an alias; quote it, as in "*.acme.com"`
	case strings.Contains(problem, "cannot start any token"):
		return "not YAML: " + problem + "; indent with spaces, and quote a value that begins with @, %, or a backquote"
	case strings.Contains(problem, "already set"):
		return quoted.ReplaceAllString(problem, "…") + "; write each field once"
	default:
		return "not YAML: " + quoted.ReplaceAllString(problem, "…") + "; look at indentation, quotes and brackets"
	}
}
