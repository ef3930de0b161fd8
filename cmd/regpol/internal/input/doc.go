// Package input reads the files that flags name, and standard input, up to a limit.
package input
