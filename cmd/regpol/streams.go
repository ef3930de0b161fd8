package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// streams are what a verb reads and writes, so that a test can stand in for a terminal.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// plainVariable is the environment variable that turns colour off, set to anything: https://no-color.org.
const plainVariable = "NO_COLOR" //nolint:misspell // it is spelt so

// coloured says whether what is written to out may have colour: on a terminal, unless the environment says no.
func (s streams) coloured() bool {
	file, isFile := s.out.(*os.File)
	return isFile && os.Getenv(plainVariable) == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// ink is a colour of a terminal: an SGR parameter (ECMA-48 8.3.117). All of them are readable on light and on dark.
type ink string

const (
	inkAllowed ink = "32;1"
	inkDenied  ink = "31;1"
	inkHeading ink = "1"
	inkFault   ink = "33"
)

// paint returns text in a colour, or as it is.
func (i ink) paint(text string, coloured bool) string {
	if !coloured {
		return text
	}
	return "\x1b[" + string(i) + "m" + text + "\x1b[0m"
}
