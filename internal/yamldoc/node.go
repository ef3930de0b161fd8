package yamldoc

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Node is a value in a YAML file. A nil Node stands for a value that does not exist; all methods but those
// that return a position accept it.
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

// child returns the value that one step of a path names, and the YAML node whose position counts as that of the value:
// the name of a field, or the item itself. Both are nil if there is no such value.
func (n *Node) child(step string) (written *yaml.Node, value *Node) {
	switch content := n.node.Content; n.node.Kind {
	case yaml.MappingNode:
		if name, value := fieldOf(n.node, step, map[*yaml.Node]bool{}); value != nil {
			return name, newNode(n.file, value)
		}
	case yaml.SequenceNode:
		if index, err := strconv.Atoi(step); err == nil && 0 <= index && index < len(content) {
			return content[index], newNode(n.file, content[index])
		}
	}
	return nil, nil
}

// fieldOf returns the name and the value of a field of a mapping. A field of the mapping itself precedes those that a
// merge key (<<) brings in. searched holds the mappings already searched, because an alias may refer to itself.
func fieldOf(mapping *yaml.Node, field string, searched map[*yaml.Node]bool) (name, value *yaml.Node) {
	searched[mapping] = true
	content := mapping.Content
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Value == field {
			return content[i], content[i+1]
		}
	}
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Tag != "!!merge" {
			continue
		}
		merged := []*yaml.Node{content[i+1]}
		if merged[0].Kind == yaml.SequenceNode {
			merged = merged[0].Content
		}
		for _, from := range merged {
			if from.Kind == yaml.AliasNode {
				from = from.Alias
			}
			if from.Kind != yaml.MappingNode || searched[from] {
				continue
			}
			if name, value := fieldOf(from, field, searched); value != nil {
				return name, value
			}
		}
	}
	return nil, nil
}

// Fields returns the names of the fields of an object, in the order of the file, without those of merge keys. It
// returns nil if the value is not an object.
func (n *Node) Fields() []string {
	if n == nil || n.node.Kind != yaml.MappingNode {
		return nil
	}
	var names []string
	for i := 0; i+1 < len(n.node.Content); i += 2 {
		names = append(names, n.node.Content[i].Value)
	}
	return names
}
