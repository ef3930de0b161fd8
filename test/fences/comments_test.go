package fences

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestEveryExportedNameHasItsComment(t *testing.T) {
	files, sources := sources(t)
	for _, source := range sources {
		if strings.HasSuffix(source.path, "_test.go") {
			continue
		}
		for _, name := range uncommented(source.file) {
			position := files.Position(name.Pos())
			t.Errorf("%s:%d: %s is exported and has no comment that says what it is", source.path, position.Line, name.Name)
		}
	}
}

// uncommented returns the exported names of a file that have no comment: functions, methods of exported types, types
// with their fields and methods, constants and variables. A name in a group, or a field or method of a type, needs no
// comment of its own if the comment of the group or type, or of the member before, mentions it. A field with the name
// of its type, such as `Mode Mode`, needs a comment only at the type.
func uncommented(file *ast.File) []*ast.Ident {
	var found []*ast.Ident
	for _, declaration := range file.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			if receiver, ok := receiverType(declaration); !ok || receiver.IsExported() {
				found = append(found, lacking([]*ast.Ident{declaration.Name}, declaration.Doc.Text(), "")...)
			}
		case *ast.GenDecl:
			single := "" // the comment of a declaration without parentheses is the comment of its only name
			if declaration.Lparen == token.NoPos {
				single = declaration.Doc.Text()
			}
			before := ""
			for _, spec := range declaration.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					own := single + spec.Doc.Text() + spec.Comment.Text()
					found = append(found, lacking(spec.Names, own, declaration.Doc.Text()+before)...)
					before = cmp.Or(own, before)
				case *ast.TypeSpec:
					own := single + spec.Doc.Text() + spec.Comment.Text()
					found = append(found, lacking([]*ast.Ident{spec.Name}, own, "")...)
					if spec.Name.IsExported() {
						found = append(found, uncommentedMembers(spec.Type, own)...)
					}
				}
			}
		}
	}
	return found
}

// uncommentedMembers is uncommented for the fields of a struct or the methods of an interface. above is the comment of
// the type. Embedded types are ignored.
func uncommentedMembers(expression ast.Expr, above string) []*ast.Ident {
	var fields []*ast.Field
	switch of := expression.(type) {
	case *ast.StructType:
		fields = of.Fields.List
	case *ast.InterfaceType:
		fields = of.Methods.List
	}
	var found []*ast.Ident
	before := ""
	for _, field := range fields {
		own := field.Doc.Text() + field.Comment.Text()
		named := ""
		if of, ok := field.Type.(*ast.Ident); ok {
			named = of.Name + "\n"
		}
		found = append(found, lacking(field.Names, own, named+above+before)...)
		before = cmp.Or(own, before)
	}
	return found
}

// lacking returns the exported names without a comment: own, their own comment, is empty, and around, the comments
// around them, does not mention them.
func lacking(names []*ast.Ident, own, around string) []*ast.Ident {
	if strings.TrimSpace(own) != "" {
		return nil
	}
	var found []*ast.Ident
	for _, name := range names {
		if name.IsExported() && !slices.Contains(strings.FieldsFunc(around, notInName), name.Name) {
			found = append(found, name)
		}
	}
	return found
}

func notInName(r rune) bool {
	return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

func TestUncommentedNames(t *testing.T) {
	const text = `package p

// The group speaks of Named.
const (
	Named = 1
	Unnamed = 2
	Own = 3 // has its own
)

// Pair holds Left.
type Pair struct {
	Left int
	Right int
	// Both and Neither are spoken of at once.
	Both bool
	Neither bool
	quiet int
	Mode Mode
}

func (Pair) Method() {}
func (hidden) Method() {}
func function() {}
`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range uncommented(file) {
		got = append(got, name.Name)
	}
	if want := []string{"Unnamed", "Right", "Method"}; !slices.Equal(got, want) {
		t.Errorf("uncommented names = %q, want %q", got, want)
	}
}

// receiverType returns the name of the type of a method. ok is false for a function.
func receiverType(function *ast.FuncDecl) (name *ast.Ident, ok bool) {
	if function.Recv == nil {
		return nil, false
	}
	expression := function.Recv.List[0].Type
	for {
		switch inner := expression.(type) {
		case *ast.StarExpr:
			expression = inner.X
		case *ast.IndexExpr:
			expression = inner.X
		case *ast.IndexListExpr:
			expression = inner.X
		case *ast.Ident:
			return inner, true
		default:
			return nil, false
		}
	}
}
