// Package listmemory estimates whether the memory limit of a namespace has room for the new content of a list, before
// the content is written. It counts policies and lists by the rule of internal/budget, as the operator does: it
// predicts which lists the operator would refuse.
package listmemory
