// Package liststream decodes the list of objects that an API server sends (Kubernetes API conventions, "Lists"). It
// holds only one object in memory at a time.
package liststream
