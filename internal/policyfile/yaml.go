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

// onlyNode returns the value of the single document in text, or nil if there are only comments. A second document is an
// error: the decoders would ignore it, and it may deny something.
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
	// quotedAddress matches text in double quotes, in a decoder's message, that may hold an address.
	quotedAddress = regexp.MustCompile(`"[^"]*@[^"]*"`)
)

// yamlError returns err with file, line and fix. If the decoder names no line, it is the first line of the document.
func yamlError(name string, text []byte, err error) error {
	var errs []error
	for _, found := range yamlLine.FindAllStringSubmatch(err.Error(), -1) {
		errs = append(errs, fmt.Errorf("%s:%s: %s", name, found[1], yamlFix(found[2])))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	first := 1 + bytes.Count(text, []byte("\n")) - bytes.Count(bytes.TrimLeft(text, "\n"), []byte("\n"))
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	return errors.New(name + ":" + strconv.Itoa(first) + ": " + yamlFix(problem))
}

// yamlFix returns the message of a decoder with the fix. It removes quoted addresses.
func yamlFix(problem string) string {
	switch {
	case strings.Contains(problem, "anchor"), strings.Contains(problem, "alphabetic or numeric"):
		return `to YAML, a value that begins with * is an alias; quote it, as in "*.acme.com"`
	case strings.Contains(problem, "cannot start any token"):
		return "not YAML: " + problem + "; indent with spaces, and quote a value that begins with @, %, or a backquote"
	case strings.Contains(problem, "already set"):
		return quotedAddress.ReplaceAllString(problem, "…") + "; write each field once"
	default:
		return "not YAML: " + quotedAddress.ReplaceAllString(problem, "…") + "; check indentation, quotes and brackets"
	}
}
