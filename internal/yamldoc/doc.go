// Package yamldoc reads the documents of a YAML file, and returns in which line a value is written, and how.
package yamldoc
