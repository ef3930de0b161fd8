package fences

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// notOurWords are not part of a name of ours: they say that something is done to something, and not what.
var notOurWords = []string{
	"manager", "service", "util", "utils", "helper", "helpers", "common", "data", "info", "process", "handle",
	"whitelist", "blacklist",
}

// othersWords are names that others gave: of Okta, of Kubernetes, of controller-runtime, of a decoder's errors.
var othersWords = strings.NewReplacer(
	"SelfService", "", "ServiceAccount", "", "serviceAccount", "", "WithManager", "", "TrailingData", "", "zz_generated", "",
)

// othersMethods are methods of interfaces that others made: logr.LogSink and slog.Handler.
var othersMethods = []string{"Info", "Handle"}

func TestNamesSayWhatTheyName(t *testing.T) {
	files, sources := sources(t)
	for _, source := range sources {
		for part := range strings.SplitSeq(strings.TrimSuffix(source.path, ".go"), "/") {
			if word := notOurs(part); word != "" {
				t.Errorf("%s: the path holds %q: name it for its concern", source.path, word)
			}
		}
		for _, name := range declared(source.file) {
			if word := notOurs(name.Name); word != "" {
				line := files.Position(name.Pos()).Line
				t.Errorf("%s:%d: the name %s holds %q: name what it is", path.Clean(source.path), line, name.Name, word)
			}
		}
	}
}

// declared returns the names that file declares at its top: functions, methods, types, constants, variables. Fields and locals
// often repeat a name that others chose, such as the `data` of Okta's call.
func declared(file *ast.File) []*ast.Ident {
	var names []*ast.Ident
	for _, declaration := range file.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			method := declaration.Recv != nil && slices.Contains(othersMethods, declaration.Name.Name)
			test := strings.HasPrefix(declaration.Name.Name, "Test") // a sentence
			if !method && !test {
				names = append(names, declaration.Name)
			}
		case *ast.GenDecl:
			for _, spec := range declaration.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					names = append(names, spec.Names...)
				case *ast.TypeSpec:
					names = append(names, spec.Name)
				}
			}
		}
	}
	return names
}

// notOurs returns the first word of name that is not ours, or "".
func notOurs(name string) string {
	for _, word := range words(othersWords.Replace(name)) {
		if slices.Contains(notOurWords, word) {
			return word
		}
	}
	return ""
}

// words splits a name at underscores, hyphens, dots and where a capital follows a small letter; all in small letters.
func words(name string) []string {
	var split strings.Builder
	small := false
	for _, r := range name {
		if unicode.IsUpper(r) && small {
			split.WriteByte(' ')
		}
		small = unicode.IsLower(r) || unicode.IsDigit(r)
		split.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(split.String(), func(r rune) bool { return strings.ContainsRune(" _-.", r) })
}

func TestWordsOfAName(t *testing.T) {
	for name, want := range map[string][]string{
		"policyInfo":        {"policy", "info"},
		"Information":       {"information"},
		"string_utils_test": {"string", "utils", "test"},
		"ServeHTTP":         {"serve", "http"},
		"database":          {"database"},
	} {
		if got := words(name); !slices.Equal(got, want) {
			t.Errorf("words(%q) = %q, want %q", name, got, want)
		}
	}
}
