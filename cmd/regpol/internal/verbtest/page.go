package verbtest

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Golden compares what a verb printed with a golden file. The path is relative to the work tree. With -update, Golden
// writes the file first.
func Golden(t *testing.T, path, got string) {
	t.Helper()
	golden := filepath.Join(WorkTree, filepath.FromSlash(path))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(ReadText(t, golden), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

// ReferencePage returns the text of a page of the reference.
func ReferencePage(t *testing.T, page string) string {
	t.Helper()
	return ReadText(t, filepath.Join(WorkTree, "docs", "reference", page))
}

// Page compares a page of the reference with the flags of a verb, and with what its commands print. It returns
// the text of the page.
func Page(t *testing.T, of Verb, page string) string {
	t.Helper()
	text := ReferencePage(t, page)
	of(console.Streams{}).Flags().VisitAll(func(flag *pflag.Flag) {
		if !strings.Contains(text, "`--"+flag.Name+"`") && !strings.Contains(text, "`-"+flag.Shorthand+"`") {
			t.Errorf("the page does not have --%s", flag.Name)
		}
	})
	if Commands(t, of, text) == 0 {
		t.Error("no command with its output")
	}
	return text
}

// Commands compares each block of a page that begins with a command of regpol with what the command prints, up to
// a line with only an ellipsis. It returns how many commands there are.
func Commands(t *testing.T, of Verb, text string) int {
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
		got := Run(t, of, "", strings.Fields(command)[2:]...)
		if cut && !strings.HasPrefix(got.Out, want) || !cut && got.Out != want {
			t.Errorf("%s prints\n%s", command, got.Out)
		}
	}
	return shown
}

// AddMembers adds to a map a key for each JSON member of a struct type. The key is the prefix path, followed by the
// path of the member, such as refusals[].kind. The values are "".
func AddMembers(to map[string]string, path string, of reflect.Type) {
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		suffix := ""
		if inner.Kind() == reflect.Pointer && inner.Elem().Kind() == reflect.Struct {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
			inner, suffix = inner.Elem(), "[]"
		}
		switch {
		case name == "":
		case inner.Kind() == reflect.Struct:
			AddMembers(to, path+name+suffix+".", inner)
		default:
			to[path+name] = ""
		}
	}
}
