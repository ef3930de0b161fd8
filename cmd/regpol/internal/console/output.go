package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// The values of --output: OutputText is for people, OutputJSON and OutputYAML are for programs.
const (
	OutputText = "text"
	OutputJSON = "json"
	OutputYAML = "yaml"
)

// Outputs are the values of --output that most verbs have.
var Outputs = []string{OutputText, OutputJSON, OutputYAML}

// ValidChoice returns an error if the value of a flag is not one of the choices.
func ValidChoice(flag, value string, choices []string) error {
	if !slices.Contains(choices, value) {
		return fmt.Errorf("%s: %q: write one of %s", flag, value, strings.Join(choices, ", "))
	}
	return nil
}

// CompleteChoices registers the shell completion of flags by their choices. The command must have these flags.
func CompleteChoices(command *cobra.Command, choices map[string][]string) {
	for flag, values := range choices {
		// The only possible error is an unknown flag.
		_ = command.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// WriteReport writes a report in the format of --output: text, JSON or YAML.
func WriteReport(s Streams, output string, report any, text func() []byte) error {
	var written []byte
	if output == OutputText {
		written = text()
	} else {
		var encoded bytes.Buffer
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(report); err != nil {
			return err
		}
		written = encoded.Bytes()
	}
	if output == OutputYAML {
		var err error
		if written, err = yaml.JSONToYAML(written); err != nil {
			return err
		}
	}
	_, err := s.Out.Write(written)
	return err
}
