package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// Split splits a YAML file into documents where kubectl does: at lines with only --- and an optional comment. It puts
// empty lines before each document, so that a line has the same number in its document as in the file.
func Split(text []byte) [][]byte {
	var documents [][]byte
	var current []byte
	lines := 0
	for line := range bytes.Lines(text) {
		lines++
		rest, marked := bytes.CutPrefix(line, []byte("---"))
		if rest = bytes.TrimSpace(rest); marked && (len(rest) == 0 || rest[0] == '#') {
			documents = append(documents, current)
			current = bytes.Repeat([]byte("\n"), lines)
			continue
		}
		current = append(current, line...)
	}
	return append(documents, current)
}

// Parse returns the value of the document in text, or nil if there are only comments. file is the name of the file in
// errors. A second document in text is an error, because [ToJSON] would ignore it, and it may be a policy that denies
// something.
func Parse(file string, text []byte) (*Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var found *Node
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, decodeError(file, text, err)
		case len(node.Content) == 0 || node.Content[0].Tag == "!!null":
		case found != nil:
			return nil, fmt.Errorf("%s:%d: another document begins here; write --- alone on the line before it", file, node.Line)
		default:
			found = newNode(file, node.Content[0])
		}
	}
}

// ToJSON returns the document in text as JSON. file is the name of the file in errors. ToJSON decodes YAML with the
// package that kubectl uses: other packages may read a value such as "yes" as text instead of true.
func ToJSON(file string, text []byte) ([]byte, error) {
	asJSON, err := sigsyaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, decodeError(file, text, err)
	}
	return asJSON, nil
}

var (
	yamlLine = regexp.MustCompile(`line ([0-9]+): (.*)`)
	// quotedAddress matches a text in quotes that may be an address. It is used on messages of YAML decoders.
	quotedAddress = regexp.MustCompile(`"[^"]*@[^"]*"`)
)

// decodeError returns the error of a YAML decoder with file, line and fix. If the decoder names no line, the error has
// the first line of the document.
func decodeError(file string, text []byte, err error) error {
	var errs []error
	for _, found := range yamlLine.FindAllStringSubmatch(err.Error(), -1) {
		errs = append(errs, fmt.Errorf("%s:%s: %s", file, found[1], withFix(found[2])))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	first := 1 + bytes.Count(text, []byte("\n")) - bytes.Count(bytes.TrimLeft(text, "\n"), []byte("\n"))
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	return errors.New(file + ":" + strconv.Itoa(first) + ": " + withFix(problem))
}

// withFix returns the message of a YAML decoder with a fix, and without quoted addresses.
func withFix(problem string) string {
	switch {
	case strings.Contains(problem, "contains itself"):
		return "to YAML, a value that begins with * is an alias, and this one stands for a value that it is in; write the value in place, " +
			`or quote it, as in "*.acme.com"`
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
