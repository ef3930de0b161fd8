package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// streams are the standard streams of a verb. Tests replace them.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// noColorVariable is the environment variable that turns colour off with any value: https://no-color.org.
const noColorVariable = "NO_COLOR" //nolint:misspell // the name that https://no-color.org gives it

// coloured reports whether out is a terminal that shows colour, and the environment does not turn it off.
func (s streams) coloured() bool {
	file, isFile := s.out.(*os.File)
	return isFile && os.Getenv(noColorVariable) == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// ink is a text style: an SGR parameter (ECMA-48 8.3.117). All inks are readable on light and dark backgrounds.
type ink string

const (
	inkAllowed ink = "32;1"
	inkDenied  ink = "31;1"
	inkHeading ink = "1"
	inkFault   ink = "33"
)

// paint returns the text in the ink if coloured, else unchanged.
func (i ink) paint(text string, coloured bool) string {
	if !coloured {
		return text
	}
	return "\x1b[" + string(i) + "m" + text + "\x1b[0m"
}
