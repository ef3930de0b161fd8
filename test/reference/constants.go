package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// Constant is a constant of a Go file whose value is a literal.
type Constant struct {
	// Name is the name of the constant.
	Name string
	// Value is a text without its quotes, or a number as it is written.
	Value string
	// Doc is the comment of the constant, in one line.
	Doc string
}

// Constants returns the constants of a Go file whose values are literals, in order. It fails if there is none.
func Constants(path string) ([]Constant, error) {
	file, err := parsed(path)
	if err != nil {
		return nil, err
	}
	var all []Constant
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.CONST {
			continue
		}
		for _, spec := range general.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok || len(value.Values) != len(value.Names) {
				continue
			}
			for i, name := range value.Names {
				if literal, ok := value.Values[i].(*ast.BasicLit); ok {
					all = append(all, Constant{name.Name, unquoted(literal), strings.Join(strings.Fields(value.Doc.Text()), " ")})
				}
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no constant", path)
	}
	return all, nil
}

// Texts returns the values of the constants of a Go file whose names begin with a prefix.
func Texts(path, prefix string) ([]string, error) {
	all, err := Constants(path)
	var texts []string
	for _, constant := range all {
		if strings.HasPrefix(constant.Name, prefix) {
			texts = append(texts, constant.Value)
		}
	}
	return texts, err
}

func parsed(path string) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
}

func unquoted(literal *ast.BasicLit) string {
	if text, err := strconv.Unquote(literal.Value); err == nil {
		return text
	}
	return literal.Value
}
