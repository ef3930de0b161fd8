// Package liststream decodes a response of an API server to a list request, such as a ConfigMapList (Kubernetes API
// conventions, "Lists"). It holds only one object of the list in memory at a time, where client-go holds all of them.
package liststream
