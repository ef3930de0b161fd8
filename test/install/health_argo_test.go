package install

import (
	"testing"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

// fleetPage is the page that says how other tools use the condition Ready.
const fleetPage = "docs/platform/fleet.md"

// healthScript returns the health check for Argo CD in the manual, which is there under the key of Argo CD's
// configuration.
func healthScript(t *testing.T) string {
	t.Helper()
	for _, b := range blocks(t, fleetPage) {
		if b.language != "yaml" {
			continue
		}
		objects, err := parseObjects(b.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			key := "resource.customizations.health." + v1alpha1.GroupVersion.Group + "_RegistrationPolicy"
			script, found, err := unstructured.NestedString(object.Object, "data", key)
			if err != nil {
				t.Fatal(err)
			}
			if found && object.GetName() == "argocd-cm" {
				return script
			}
		}
	}
	t.Fatalf("%s has no health check for Argo CD", fleetPage)
	return ""
}

// argoHealth runs a health check as Argo CD does (util/lua): with the object as the global obj, and only with Lua's
// base and table libraries.
func argoHealth(t *testing.T, script string, object *unstructured.Unstructured) string {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	l.SetGlobal("obj", luaValue(t, l, object.Object))
	if err := l.DoString(script); err != nil {
		t.Fatal(err)
	}
	answer, isTable := l.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("the health check returns %s, not a table", l.Get(-1).Type())
	}
	return answer.RawGetString("status").String() + ": " + answer.RawGetString("message").String()
}

// luaValue converts a value of an object to Lua, as Argo CD does.
func luaValue(t *testing.T, l *lua.LState, value any) lua.LValue {
	t.Helper()
	switch value := value.(type) {
	case nil:
		return lua.LNil
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		table := l.CreateTable(len(value), 0)
		for _, element := range value {
			table.Append(luaValue(t, l, element))
		}
		return table
	case map[string]any:
		table := l.CreateTable(0, len(value))
		for key, element := range value {
			table.RawSetString(key, luaValue(t, l, element))
		}
		return table
	}
	t.Fatalf("an object has no value of type %T", value)
	return nil
}
