package explain

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/explanation"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/rules"
)

// page returns the reference page of explain.
func page(t *testing.T) string {
	t.Helper()
	return verbtest.ReferencePage(t, "regpol-explain.md")
}

func TestThePageShowsWhatExplainPrints(t *testing.T) {
	shown := verbtest.Commands(t, Command, page(t))
	if shown < 2 {
		t.Errorf("%d commands with their output", shown)
	}
}

// firstCells returns the backquoted texts in the first cells of the page's tables.
func firstCells(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for line := range strings.Lines(page(t)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for i, part := range strings.Split(cells[1], "`") {
			if i%2 == 1 {
				found[part] = true
			}
		}
	}
	return found
}

func TestThePageHasEveryFlagMemberAndStanding(t *testing.T) {
	want := map[string]bool{}
	Command(console.Streams{}).Flags().VisitAll(func(flag *pflag.Flag) {
		want["--"+flag.Name] = true
		if flag.Shorthand != "" {
			want["-"+flag.Shorthand] = true
		}
	})
	for _, role := range rules.Roles() {
		want[string(role)] = true
	}
	members(want, "", reflect.TypeFor[explanation.Report]())
	got := firstCells(t)
	for name := range want {
		if !got[name] {
			t.Errorf("the page does not have %s", name)
		}
	}
	for name := range got {
		if !want[name] {
			t.Errorf("the page has %s, and there is no such thing", name)
		}
	}
}

// members adds the paths of a report's members, except those that the page only describes in a sentence.
func members(to map[string]bool, path string, of reflect.Type) {
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		inner := field.Type
		switch {
		case slices.Contains([]string{"decisionReport", "callReport", "personReport"}, inner.Name()):
			members(to, path+name+".", inner)
		case inner.Kind() == reflect.Slice && slices.Contains([]string{"policyReport", "traceReport"}, inner.Elem().Name()):
			to[path+name] = true
			members(to, path+name+"[].", inner.Elem())
		default:
			to[path+name] = true
		}
	}
}
