package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/test/reference"
)

const flagsPage = "../../docs/reference/flags.md"

func TestTheFlagsPageListsEveryFlagWithVariableAndDefault(t *testing.T) {
	var want []string
	(&options{}).flags().VisitAll(func(flag *pflag.Flag) {
		variable := "`" + envPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_")) + "`"
		if flag.Name == "version" {
			variable = "–"
		}
		preset := "`" + strings.Trim(flag.DefValue, "[]") + "`"
		if preset == "``" || preset == "`false`" {
			preset = "–"
		}
		want = append(want, "`--"+flag.Name+"` | "+variable+" | "+preset)
	})
	for _, difference := range reference.Differences(flagsPage, "Flags", want, 3) {
		t.Error(difference)
	}
}
