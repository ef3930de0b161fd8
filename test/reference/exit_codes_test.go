package reference

import (
	"go/ast"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const exitCodesPage = "../../docs/reference/exit-codes.md"

func TestTheExitCodesPageListsEveryCodeOfRegpol(t *testing.T) {
	var want []string
	for _, constant := range constantsOf(t, "../../cmd/regpol/internal/console/exit.go") {
		if strings.HasPrefix(constant.Name, "Exit") {
			want = append(want, constant.Value)
		}
	}
	holds(t, exitCodesPage, "regpol", want, 1)
}

func TestTheExitCodesPageListsEveryCodeOfTheOperator(t *testing.T) {
	want := []string{"0"} // the exit code if main returns
	for path := range sourcesOf(t, "../../cmd/operator") {
		ast.Inspect(parse(t, path), func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			function, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || function.Sel.Name != "Exit" {
				return true
			}
			code, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: ends with a code that this test cannot read", path)
				return true
			}
			if !slices.Contains(want, code.Value) {
				want = append(want, code.Value)
			}
			return true
		})
	}
	holds(t, exitCodesPage, "operator", want, 1)
}

// sourcesOf yields the paths of the Go files of a folder, without tests.
func sourcesOf(t *testing.T, folder string) func(yield func(string) bool) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", folder, len(paths), err)
	}
	return slices.Values(slices.DeleteFunc(paths, func(path string) bool { return strings.HasSuffix(path, "_test.go") }))
}
