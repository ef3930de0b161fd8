package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestTheREADMEListsEveryFlagWithItsDefault(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`--") {
			continue
		}
		for flag := range strings.SplitSeq(cells[1], ",") {
			rows[strings.Trim(flag, " `-")] = cells[2]
		}
	}
	(&options{}).flags().VisitAll(func(flag *pflag.Flag) {
		said, found := rows[flag.Name]
		delete(rows, flag.Name)
		switch {
		case !found:
			t.Errorf("--%s is not in the table of flags", flag.Name)
		case strings.HasPrefix(flag.Name, "text-") || flag.Name == "max-in-flight":
			// Described in words.
		case flag.Value.Type() == "bool" || flag.DefValue == "" || flag.DefValue == "[]":
			if strings.Contains(said, "`:") {
				t.Errorf("--%s: the table says %s, and there is no default", flag.Name, said)
			}
		case !strings.Contains(said, "`"+strings.Trim(flag.DefValue, "[]")+"`"):
			t.Errorf("--%s: the table says %s, the default is %s", flag.Name, said, flag.DefValue)
		}
	})
	for name := range rows {
		t.Errorf("--%s is in the table, but no flag", name)
	}
}
