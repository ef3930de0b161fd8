// Package build turns the stored policies of a namespace into compiled ones.
//
// It does again only what has changed since the last build: read the spec, convert it to a [rules.Policy], resolve the
// lists that it names, and compile it.
package build
