// Package fences has tests about the repository itself: which package may import which, also through other packages,
// that every exported name has a comment, and that names use the words in CONTRIBUTING.md.
package fences
