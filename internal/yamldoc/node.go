package yamldoc

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Node is a value in a YAML file. A nil Node stands for a value that does not exist; all methods but Line and Place
// accept it.
type Node struct {
	file string
	node *yaml.Node // not an alias
}

func newNode(file string, node *yaml.Node) *Node {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return &Node{file, node}
}

// Get returns the value that the steps lead to, each the name of a field or the index of an item. It returns nil if
// there is no such value.
func (n *Node) Get(steps ...string) *Node {
	for _, step := range steps {
		if n == nil {
			return nil
		}
		_, n = n.child(step)
	}
	return n
}

// Find returns the value at a path such as spec.allow.domains[3], or nil if there is no such value.
func (n *Node) Find(path string) *Node { return n.Get(stepsOf(path)...) }

// Line returns the line at which the value at a path begins, counted from 1. If there is no such value, it returns the
// line of the nearest parent.
func (n *Node) Line(path string) int {
	line := n.node.Line
	for _, step := range stepsOf(path) {
		at, value := n.child(step)
		if value == nil {
			break
		}
		n, line = value, at
	}
	return line
}

// Place returns file:line for the [Node.Line] of a path.
func (n *Node) Place(path string) string { return fmt.Sprintf("%s:%d", n.file, n.Line(path)) }

// Text returns the text of a scalar as it is written, without quotes. It returns false if the value is not a scalar.
func (n *Node) Text() (string, bool) {
	if n == nil || n.node.Kind != yaml.ScalarNode {
		return "", false
	}
	return n.node.Value, true
}

// Unquoted returns the text of a scalar that is written without quotes, so that YAML chooses its type. It returns false
// for any other value.
func (n *Node) Unquoted() (string, bool) {
	text, ok := n.Text()
	return text, ok && n.node.Style == 0
}

// Items returns the items of a list, or nil if the value is not a list.
func (n *Node) Items() []*Node {
	if n == nil || n.node.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]*Node, len(n.node.Content))
	for i, item := range n.node.Content {
		items[i] = newNode(n.file, item)
	}
	return items
}

// child returns the field or item that one step of a path names, and the line at which it begins: for a field, the line
// of its name. It returns nil if there is no such value.
func (n *Node) child(step string) (line int, value *Node) {
	content := n.node.Content
	switch n.node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(content); i += 2 {
			if content[i].Value == step {
				return content[i].Line, newNode(n.file, content[i+1])
			}
		}
	case yaml.SequenceNode:
		if index, err := strconv.Atoi(step); err == nil && 0 <= index && index < len(content) {
			return content[index].Line, newNode(n.file, content[index])
		}
	}
	return 0, nil
}

// stepsOf splits a path: spec, allow, domains and 3 for spec.allow.domains[3].
func stepsOf(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}
