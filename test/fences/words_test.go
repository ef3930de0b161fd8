package fences

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// glossary reads the table of words in CONTRIBUTING.md. It returns what to write, by the word not to write.
func glossary(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| write | not |\n|---|---|\n")
	if !found {
		t.Fatal("CONTRIBUTING.md has no table of words")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	instead := map[string]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 4 {
			t.Fatalf("CONTRIBUTING.md: %q has not two columns", line)
		}
		for word := range strings.SplitSeq(cells[2], ",") {
			instead[strings.TrimSpace(word)] = strings.TrimSpace(cells[1])
		}
	}
	return instead
}

func TestNamesAndTextsKeepTheGlossary(t *testing.T) {
	instead := glossary(t)
	files, sources := sources(t)
	for _, source := range sources {
		for part := range strings.SplitSeq(strings.TrimSuffix(source.path, ".go"), "/") {
			if word := wordIn(words(part), instead); word != "" {
				t.Errorf("%s: the path holds %q: write %s", source.path, word, instead[word])
			}
		}
		for _, name := range declared(source.file) {
			if word := wordIn(words(name.Name), instead); word != "" {
				t.Errorf("%s:%d: the name %s holds %q: write %s", source.path, files.Position(name.Pos()).Line, name.Name, word, instead[word])
			}
		}
		if strings.HasSuffix(source.path, "_test.go") || !isShipped(source.path) {
			continue
		}
		for place, text := range texts(source.file) {
			if word := wordIn(words(text), instead); word != "" {
				t.Errorf("%s:%d: %q: write %s", source.path, files.Position(place).Line, word, instead[word])
			}
		}
	}
}

// isShipped reports whether a file may become part of a program that users install.
func isShipped(path string) bool {
	top, _, _ := strings.Cut(path, "/")
	return slices.Contains([]string{"api", "cmd", "controllers", "hookserver", "internal", "rules"}, top)
}

// texts returns the comments and the string literals of a file, except import paths, by their positions.
func texts(file *ast.File) map[token.Pos]string {
	found := map[token.Pos]string{}
	for _, comment := range file.Comments {
		found[comment.Pos()] = comment.Text()
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if node.Kind == token.STRING {
				found[node.Pos()] = node.Value
			}
		}
		return true
	})
	return found
}

// declared returns the names that a file declares outside of functions: functions, methods, types, fields, constants
// and variables. It does not return names of tests, which are sentences.
func declared(file *ast.File) []*ast.Ident {
	var names []*ast.Ident
	for _, declaration := range file.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			if !strings.HasPrefix(declaration.Name.Name, "Test") {
				names = append(names, declaration.Name)
			}
		case *ast.GenDecl:
			ast.Inspect(declaration, func(node ast.Node) bool {
				switch node := node.(type) {
				case *ast.ValueSpec:
					names = append(names, node.Names...)
				case *ast.TypeSpec:
					names = append(names, node.Name)
				case *ast.Field:
					names = append(names, node.Names...)
				case *ast.FuncLit:
					return false
				}
				return true
			})
		}
	}
	return names
}

// wordIn returns the first word or phrase of the glossary that occurs in a text, or "".
func wordIn(text []string, instead map[string]string) string {
	joined := " " + strings.Join(text, " ") + " "
	for _, phrase := range slices.Sorted(maps.Keys(instead)) {
		if strings.Contains(joined, " "+phrase+" ") || strings.Contains(joined, " "+phrase+"s ") {
			return phrase
		}
	}
	return ""
}

// words splits a text or a name into words, in lower case. A word ends before any character that is no letter or digit,
// and before a capital that follows a small letter.
func words(text string) []string {
	var split strings.Builder
	small := false
	for _, r := range text {
		if unicode.IsUpper(r) && small {
			split.WriteByte(' ')
		}
		small = unicode.IsLower(r) || unicode.IsDigit(r)
		split.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(split.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func TestWordsOfAText(t *testing.T) {
	for text, want := range map[string][]string{
		"policyInfo":          {"policy", "info"},
		"string_lists_test":   {"string", "lists", "test"},
		"ServeHTTP":           {"serve", "http"},
		"What nobody\nreads.": {"what", "nobody", "reads"},
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("words(%q) = %q, want %q", text, got, want)
		}
	}
	instead := map[string]string{"octet": "byte", "one that": "a list that"}
	for text, want := range map[string]string{"maxOctets": "octet", "// one that\n// counts": "one that", "bone that": "", "handleInfo": ""} {
		if got := wordIn(words(text), instead); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
