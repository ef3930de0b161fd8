package reference

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

const reasonsPage = "../../docs/reference/reasons.md"

func TestTheReasonsPageListsEveryDecisionReason(t *testing.T) {
	allows := []rules.Reason{rules.ReasonAllowed, rules.ReasonNoAddressChanged}
	texts := rules.DefaultTexts()
	var want []string
	for _, reason := range rules.Reasons() {
		outcome, code, text := rules.Deny, "`"+string(reason.Code())+"`", texts.For(&rules.Decision{Reason: reason}, "{id}")
		for _, allowing := range allows {
			if reason == allowing {
				outcome, code, text = rules.Allow, "–", "–"
			}
		}
		want = append(want, "`"+string(reason)+"` | "+outcome.String()+" | "+code+" | "+text)
	}
	holds(t, reasonsPage, "Decisions", want, 4)
}

func TestTheReasonsPageListsEveryClassOfInvalidAddress(t *testing.T) {
	var want []string
	for _, invalid := range rules.Invalids() {
		want = append(want, "`"+string(invalid)+"`")
	}
	holds(t, reasonsPage, "What is no address", want, 1)
}

var usedWith = regexp.MustCompile(`(?:used with|and) ([A-Za-z]+)=(True|False|Unknown)`)

func TestTheReasonsPageListsEveryReasonOfACondition(t *testing.T) {
	var want []string
	for _, constant := range constantsOf(t, "../../api/v1alpha1/condition_types.go") {
		if strings.HasPrefix(constant.Name, "Reason") {
			found := usedWith.FindAllStringSubmatch(constant.Doc, -1)
			if len(found) == 0 {
				t.Fatalf("the comment of %s does not say which condition it is used with", constant.Name)
			}
			for _, use := range found {
				want = append(want, "`"+use[1]+"` | "+use[2]+" | `"+constant.Value+"`")
			}
		}
	}
	holds(t, reasonsPage, "Conditions", want, 3)
}

func TestTheReasonsPageListsTheEventsThatNoConditionMakes(t *testing.T) {
	var want []string
	for _, constant := range constantsOf(t, "../../controllers/events.go") {
		if strings.HasPrefix(constant.Name, "event") {
			want = append(want, "`"+constant.Value+"`")
		}
	}
	holds(t, reasonsPage, "Events", want, 1)
}

func TestTheReasonsPageListsEveryCauseOfARefusedCall(t *testing.T) {
	var want []string
	for _, result := range constantsOf(t, "../../hookserver/authenticate.go") {
		if strings.HasPrefix(result.Name, "auth") && result.Value != "accepted" && result.Value != "disabled" {
			want = append(want, "401 | `"+result.Value+"`")
		}
	}
	for _, cause := range constantsOf(t, "../../hookserver/oauth/cause.go") {
		want = append(want, "401 | `"+cause.Value+"`")
	}
	for _, malformed := range constantsOf(t, "../../hookserver/okta/malformed.go") {
		status := "400"
		if malformed.Value == "TooLarge" {
			status = "413"
		}
		want = append(want, status+" | `"+malformed.Value+"`")
	}
	// The refusals in refusal.go that are not Malformed.
	want = append(want, "404 | –", "405 | –", "415 | `ContentType`", "400 | `Unreadable`", "503 | `TooManyCalls`", "503 | `NotLoaded`",
		"503 | `Fenced`", "500 | `Encoding`", "500 | –")
	holds(t, reasonsPage, "Calls that are refused", want, 2)

	for _, cause := range literalsOf(t, "../../hookserver/refusal.go", "cause") {
		found := cause == "Malformed" // its error does not come from the decoder
		for _, row := range want {
			found = found || strings.HasSuffix(row, "`"+cause+"`")
		}
		if !found {
			t.Errorf("the cause %s is not in this test, nor on the page", cause)
		}
	}
}

// literalsOf returns the string literals that a file assigns to a field in composite literals.
func literalsOf(t *testing.T, path, field string) []string {
	t.Helper()
	var all []string
	ast.Inspect(parse(t, path), func(node ast.Node) bool {
		if pair, ok := node.(*ast.KeyValueExpr); ok {
			key, isName := pair.Key.(*ast.Ident)
			if literal, isLiteral := pair.Value.(*ast.BasicLit); isName && isLiteral && key.Name == field {
				all = append(all, unquoted(literal))
			}
		}
		return true
	})
	if len(all) == 0 {
		t.Fatalf("%s: no %s", path, field)
	}
	return all
}

func constantsOf(t *testing.T, path string) []Constant {
	t.Helper()
	all, err := Constants(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parsed(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
