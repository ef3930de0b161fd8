package yamldoc

import (
	"fmt"
	"strings"
)

// Position is a place in a file.
type Position struct {
	// File is the name that [Parse] was given.
	File string
	// Line and Column count from 1. The column is in characters.
	Line, Column int
}

// Position returns where the value that the steps lead to is written. For a field this is the position of its name. For
// an item it is the position of its first character, or of the alias in its place. If there is no such value, Position
// returns the position of the nearest parent.
func (n *Node) Position(steps ...string) Position {
	at := Position{n.file, n.node.Line, n.node.Column}
	for _, step := range steps {
		written, value := n.child(step)
		if value == nil {
			break
		}
		n, at.Line, at.Column = value, written.Line, written.Column
	}
	return at
}

// PositionOf returns the [Node.Position] of a path such as spec.allow.domains[3].
func (n *Node) PositionOf(path string) Position { return n.Position(stepsOf(path)...) }

// Line returns the line of the [Node.Position] of a path.
func (n *Node) Line(path string) int { return n.PositionOf(path).Line }

// Place returns file:line for the [Node.Line] of a path.
func (n *Node) Place(path string) string { return fmt.Sprintf("%s:%d", n.file, n.Line(path)) }

// stepsOf splits a path: spec, allow, domains and 3 for spec.allow.domains[3].
func stepsOf(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}
