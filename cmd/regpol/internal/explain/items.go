package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/explanation"
	"registrationpolicy.dev/operator/rules"
)

// maxAddressColumn limits the width in characters of the column of addresses, so that one long address does not move the
// reasons of all others off the screen.
const maxAddressColumn = 40

// itemsWriter writes the explanations of several addresses, each as soon as it is made: all reports of a long file
// together could exceed the memory. As JSON and YAML they are the member items of one object, as in a list of kubectl.
type itemsWriter struct {
	w        io.Writer
	output   string
	verbose  bool
	coloured bool
	width    int // of the column of addresses, in characters

	allowed, denied int
	warnings        []string // each of them once
}

// newItemsWriter returns a writer of the explanations of these calls in the format of --output.
func newItemsWriter(w io.Writer, o *explainOptions, coloured bool, calls []explanation.Call) *itemsWriter {
	i := &itemsWriter{w: w, output: o.output, verbose: o.verbose, coloured: coloured}
	for _, call := range calls {
		i.width = max(i.width, min(utf8.RuneCountInString(console.QuoteIfNeeded(call.Address)), maxAddressColumn))
	}
	return i
}

// add writes one explanation.
func (i *itemsWriter) add(r *explanation.Report) error {
	first := i.allowed+i.denied == 0
	if r.Answer == rules.Allow.String() {
		i.allowed++
	} else {
		i.denied++
	}
	for _, warning := range r.Warnings {
		if !slices.Contains(i.warnings, warning) {
			i.warnings = append(i.warnings, warning)
		}
	}
	var item []byte
	var err error
	switch {
	case i.output == console.OutputJSON:
		item, err = jsonItem(r, first)
	case i.output == console.OutputYAML:
		item, err = yamlItem(r, first)
	case i.verbose:
		if !first {
			item = []byte("\n")
		}
		item = append(item, r.Text(i.verbose, i.coloured)...)
	default:
		item = fmt.Appendf(nil, "%s  %-*s  %s\n", r.AnswerWord(i.coloured), i.width, r.Call.Addresses(), r.Decision.Describe())
	}
	if err != nil {
		return err
	}
	_, err = i.w.Write(item)
	return err
}

// end writes what follows the last explanation.
func (i *itemsWriter) end() error {
	var err error
	switch i.output {
	case console.OutputText:
		_, err = fmt.Fprintf(i.w, "\n%d allowed, %d denied\n", i.allowed, i.denied)
	case console.OutputJSON:
		_, err = io.WriteString(i.w, "\n  ]\n}\n")
	}
	return err
}

// jsonItem returns an element of the array items. Before the first element it writes the beginning of the object that
// holds the array, and before any other a comma.
func jsonItem(r *explanation.Report, first bool) ([]byte, error) {
	var w bytes.Buffer
	if first {
		w.WriteString("{\n  \"items\": [\n    ")
	} else {
		w.WriteString(",\n    ")
	}
	encoder := json.NewEncoder(&w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("    ", "  ")
	if err := encoder.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(w.Bytes(), []byte("\n")), nil
}

// yamlItem returns an element of the list items. Before the first element it writes the key items.
func yamlItem(r *explanation.Report, first bool) ([]byte, error) {
	text, err := yaml.Marshal(r)
	if err != nil {
		return nil, err
	}
	var w bytes.Buffer
	if first {
		w.WriteString("items:\n")
	}
	indent := "- "
	for line := range strings.Lines(string(text)) {
		if line != "\n" {
			line = indent + line
		}
		w.WriteString(line)
		indent = "  "
	}
	return w.Bytes(), nil
}
