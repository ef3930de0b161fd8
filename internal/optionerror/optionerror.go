// Package optionerror reports invalid options of a library. The library names its options (Path), and a program can
// replace these names by its own flags (--hook-path) before it prints the error.
package optionerror

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors is an error about a set of options. It lists them in the order of the calls of Add.
type Errors struct{ errs []optionError }

// optionError is an error about the value of one option. Its text also says what to write instead.
type optionError struct {
	option string
	err    error
}

// Add adds an error about an option.
func (e *Errors) Add(option, format string, args ...any) {
	e.errs = append(e.errs, optionError{option, fmt.Errorf(format, args...)})
}

// Err returns e, or nil if nothing was added.
func (e *Errors) Err() error {
	if len(e.errs) == 0 {
		return nil
	}
	return e
}

// Error returns one line for each call of Add.
func (e *Errors) Error() string { return strings.Join(e.lines(nil), "\n") }

// ByFlag replaces the name of each option in err by its flag, if flags has one. The returned error has one line for
// each fault, sorted by flag, so that its text does not depend on the order of checks. If err is not an [Errors],
// ByFlag returns err itself.
func ByFlag(err error, flags map[string]string) error {
	invalid, ok := errors.AsType[*Errors](err)
	if !ok {
		return err
	}
	lines := invalid.lines(flags)
	slices.Sort(lines)
	return errors.New(strings.Join(slices.Compact(lines), "\n"))
}

// lines returns one line for each error, with the name of the option or, if flags has one, of its flag.
func (e *Errors) lines(flags map[string]string) []string {
	lines := make([]string, len(e.errs))
	for i, invalid := range e.errs {
		name := invalid.option
		if flag := flags[name]; flag != "" {
			name = flag
		}
		lines[i] = name + ": " + invalid.err.Error()
	}
	return lines
}
