package console

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Streams are the standard streams of a verb: input In, output Out, and Err for messages. Tests replace them.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// PrintWarnings prints warnings to standard error, each in a line.
func PrintWarnings(s Streams, warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintln(s.Err, "regpol: warning: "+warning)
	}
}

// noColorVariable is the environment variable that turns colour off with any value: https://no-color.org.
const noColorVariable = "NO_COLOR" //nolint:misspell // the name that https://no-color.org gives it

// Coloured reports whether out is a terminal that shows colour, and the environment does not turn it off.
func (s Streams) Coloured() bool {
	file, isFile := s.Out.(*os.File)
	return isFile && os.Getenv(noColorVariable) == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// Ink is a text style: an SGR parameter (ECMA-48 8.3.117). All inks are readable on light and dark backgrounds.
type Ink string

// The inks: InkAllowed and InkDenied of answers, InkHeading of headings, InkFault of what is probably wrong.
const (
	InkAllowed Ink = "32;1"
	InkDenied  Ink = "31;1"
	InkHeading Ink = "1"
	InkFault   Ink = "33"
)

// Paint returns the text in the ink if coloured, else unchanged.
func (i Ink) Paint(text string, coloured bool) string {
	if !coloured {
		return text
	}
	return "\x1b[" + string(i) + "m" + text + "\x1b[0m"
}
