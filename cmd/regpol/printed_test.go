package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// compareGolden compares what a verb printed with a golden file. With -update, it writes the file.
func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join(root, "cmd", "regpol", "testdata", name)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

// comparePage compares a page of the reference with the flags of a verb, and with what its commands print. It returns
// the text of the page.
func comparePage(t *testing.T, page string, flags *pflag.FlagSet) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "reference", page))
	if err != nil {
		t.Fatal(err)
	}
	flags.VisitAll(func(flag *pflag.Flag) {
		if !strings.Contains(string(text), "`--"+flag.Name+"`") && !strings.Contains(string(text), "`-"+flag.Shorthand+"`") {
			t.Errorf("the page does not have --%s", flag.Name)
		}
	})
	if compareCommands(t, string(text)) == 0 {
		t.Error("no command with its output")
	}
	return string(text)
}

// compareCommands compares each block of a page that begins with a command of regpol with what the command prints, up to
// a line with only an ellipsis. It returns how many commands there are.
func compareCommands(t *testing.T, text string) int {
	t.Helper()
	shown := 0
	for block := range strings.SplitSeq(text, "```console\n") {
		command, rest, _ := strings.Cut(block, "\n")
		if !strings.HasPrefix(command, "$ regpol ") {
			continue
		}
		shown++
		want, _, _ := strings.Cut(rest, "```")
		want, _, cut := strings.Cut(want, "…\n")
		got := runRegpol(t, "", strings.Fields(command)[2:]...)
		if cut && !strings.HasPrefix(got.out, want) || !cut && got.out != want {
			t.Errorf("%s prints\n%s", command, got.out)
		}
	}
	return shown
}
