package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// The words of --output.
const (
	outputText = "text"
	outputJSON = "json"
	outputYAML = "yaml"
)

var outputs = []string{outputText, outputJSON, outputYAML}

// validWord returns what is wrong with the word of a flag that takes one of these.
func validWord(flag, word string, words []string) error {
	if !slices.Contains(words, word) {
		return fmt.Errorf("%s: %q: write one of %s", flag, word, strings.Join(words, ", "))
	}
	return nil
}

// completeWords lets a shell complete the words of flags, which the command has.
func completeWords(command *cobra.Command, words map[string][]string) {
	for flag, words := range words {
		// It fails only for a flag that is not there.
		_ = command.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	}
}

// writeReport writes a report as --output asks: as the text for people, or encoded.
func writeReport(s streams, output string, report any, text func() []byte) error {
	var written []byte
	if output == outputText {
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
	if output == outputYAML {
		var err error
		if written, err = yaml.JSONToYAML(written); err != nil {
			return err
		}
	}
	_, err := s.out.Write(written)
	return err
}
