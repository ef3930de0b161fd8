// Package yamldoc reads the documents of a YAML file. It returns values with the line on which they are written, and
// whether they have quotes.
package yamldoc
