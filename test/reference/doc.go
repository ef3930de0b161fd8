// Package reference holds the reference pages in docs/reference to the code: what they list is what there is, no more
// and no less. Pages about what only a program can see of itself, its flags and its metrics, are held beside that
// program.
package reference
