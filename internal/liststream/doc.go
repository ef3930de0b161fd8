// Package liststream reads a list of objects as an API server writes it (Kubernetes API conventions, "Lists"), one object at a time: in
// memory is one of them, however many there are.
package liststream
