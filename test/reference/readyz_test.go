package reference

import (
	"go/ast"
	"reflect"
	"strings"
	"testing"
)

func TestTheMetricsPageListsEveryMemberOfReadyz(t *testing.T) {
	structs := map[string]*ast.StructType{}
	ast.Inspect(parse(t, "../../cmd/operator/readiness.go"), func(node ast.Node) bool {
		if declared, ok := node.(*ast.TypeSpec); ok {
			if fields, ok := declared.Type.(*ast.StructType); ok {
				structs[declared.Name.Name] = fields
			}
		}
		return true
	})
	holds(t, "../../docs/reference/metrics.md", "State of a replica", members(structs, "details", ""), 1)
}

// members returns the paths of the JSON members of a struct, and of the structs in it.
func members(structs map[string]*ast.StructType, name, prefix string) []string {
	var all []string
	for _, field := range structs[name].Fields.List {
		member, _, _ := strings.Cut(reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json"), ",")
		all = append(all, "`"+prefix+member+"`")
		ast.Inspect(field.Type, func(node ast.Node) bool {
			if inner, ok := node.(*ast.Ident); ok && structs[inner.Name] != nil {
				all = append(all, members(structs, inner.Name, prefix+member+".")...)
			}
			return true
		})
	}
	return all
}
