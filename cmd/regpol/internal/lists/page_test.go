package lists

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/internal/listsync"
)

func TestThePageHasEveryFlagMemberAndRefusalOfLists(t *testing.T) {
	want := map[string]bool{}
	for _, command := range []*cobra.Command{newListsSync(console.Streams{}), newListsRollback(console.Streams{})} {
		command.Flags().VisitAll(func(flag *pflag.Flag) { want["--"+flag.Name] = true })
	}
	paths := map[string]string{}
	verbtest.AddMembers(paths, "", reflect.TypeFor[listsync.Report]())
	for path := range paths {
		want[path] = true
	}
	for _, kind := range listguard.Kinds() {
		want[string(kind)] = true
	}
	for _, reason := range listsync.EventReasons() {
		want[reason] = true
	}
	got := map[string]bool{}
	for line := range strings.Lines(verbtest.ReferencePage(t, "regpol-lists-sync.md")) {
		if row, isRow := strings.CutPrefix(line, "| `"); isRow {
			name, _, _ := strings.Cut(row, "`")
			got[name] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the page (-code +page):\n%s", diff)
	}
}
