package reference

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const logPage = "../../docs/reference/log-fields.md"

// message is a log message in the code, with its level and its keys.
type message struct{ text, level, keys string }

func TestTheLogPageListsEveryMessageWithItsLevelAndKeys(t *testing.T) {
	var want []string
	for _, folder := range []string{
		"../../cmd/operator", "../../controllers", "../../hookserver", "../../hookserver/credentials",
		"../../hookserver/oauth", "../../internal/dirwatch", "../../internal/fleet", "../../internal/election",
		"../../internal/freshness", "../../internal/informers", "../../internal/policyfile", "../../internal/policyobject",
		"../../internal/publish", "../../internal/replica", "../../internal/storedsnapshot",
	} {
		for path := range sourcesOf(t, folder) {
			for _, found := range messagesOf(t, path) {
				row := "`" + found.text + "` | " + found.level + " | " + found.keys
				if !slices.Contains(want, row) {
					want = append(want, row)
				}
			}
		}
	}
	holds(t, logPage, "Messages", want, 3)
}

// messagesOf returns the log messages of a file. It fails the test at a message that is not a string literal, because
// that could not be found in the code. The only exception is limitedLog: its method line gets a literal.
func messagesOf(t *testing.T, path string) []message {
	t.Helper()
	var all []message
	ast.Inspect(parse(t, path), func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		function, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !isLogger(function) {
			return true
		}
		level, arguments := "INFO", call.Args
		switch function.Sel.Name {
		case "Error":
			level, arguments = "ERROR", call.Args[1:]
		case "Warn":
			level, arguments = "WARN", call.Args[1:]
		}
		text, ok := arguments[0].(*ast.BasicLit)
		if !ok {
			if !strings.HasSuffix(path, "limitedlog.go") {
				t.Errorf("%s: a message that is not a literal", path)
			}
			return true
		}
		if unquoted(text) == "Decided" { // it has its own table, which a test of cmd/operator checks
			return true
		}
		keys := keysOf(arguments[1:])
		if function.Sel.Name == "line" {
			keys = append(keys, "suppressed")
		}
		all = append(all, message{unquoted(text), level, codes(keys)})
		return true
	})
	return all
}

// isLogger reports whether a method is called on a logger.
func isLogger(function *ast.SelectorExpr) bool {
	if receiver, ok := function.X.(*ast.Ident); ok && receiver.Name == "loglevel" {
		return true
	}
	if !slices.Contains([]string{"Info", "Error", "line"}, function.Sel.Name) {
		return false
	}
	name := ""
	switch receiver := function.X.(type) {
	case *ast.SelectorExpr:
		name = receiver.Sel.Name
	case *ast.Ident:
		name = receiver.Name
	}
	return slices.Contains([]string{"logger", "Logger", "authenticationLog", "refusalLog", "log", "l"}, name)
}

// keysOf returns the keys in a list of keys and values, also in an append. It does not follow variables: the message
// Starting has one, which adds policyDir or namespaces.
func keysOf(keysAndValues []ast.Expr) []string {
	if len(keysAndValues) == 1 {
		if call, ok := keysAndValues[0].(*ast.CallExpr); ok {
			return append([]string{"policyDir", "namespaces"}, keysOf(call.Args[1:])...)
		}
	}
	var keys []string
	for i := 0; i < len(keysAndValues); i += 2 {
		if literal, ok := keysAndValues[i].(*ast.BasicLit); ok {
			keys = append(keys, unquoted(literal))
		}
	}
	return keys
}

func codes(keys []string) string {
	if len(keys) == 0 {
		return "–"
	}
	return "`" + strings.Join(keys, "`, `") + "`"
}
