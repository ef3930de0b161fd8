package policyfile

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// place returns file:line of a path such as spec.allow.domains[3]. If the path does not exist, it returns that of the
// nearest parent.
func (d *document) place(path string) string {
	return fmt.Sprintf("%s:%d", d.file, lineOf(d.node, path))
}

// scalar returns the text at a path as written, and false if the path does not exist or its value is not a scalar.
func (d *document) scalar(path string) (string, bool) {
	node := d.node
	for _, step := range steps(path) {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		if _, node = child(node, step); node == nil {
			return "", false
		}
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node.Value, node.Kind == yaml.ScalarNode
}

func steps(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

func lineOf(node *yaml.Node, path string) int {
	line := node.Line
	for _, step := range steps(path) {
		if node.Kind == yaml.AliasNode {
			node = node.Alias
		}
		key, value := child(node, step)
		if value == nil {
			break
		}
		node, line = value, key.Line
	}
	return line
}

// child returns the member or item that one step of a path names, and the node at which it starts. Both are nil if
// there is none.
func child(node *yaml.Node, step string) (key, value *yaml.Node) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if index, err := strconv.Atoi(step); err == nil && 0 <= index && index < len(node.Content) {
			return node.Content[index], node.Content[index]
		}
	}
	return nil, nil
}
