// Package console is what all verbs of regpol share on the command line: how they run, their streams, colours, output
// formats and exit codes.
package console
