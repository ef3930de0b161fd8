// Package fences holds tests about the repository itself: which room of the house may import which, that every exported
// name says what it is, and that names are the words we agreed on. What a linter sees at one import, they see through all.
package fences
