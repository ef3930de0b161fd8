// Package optionerror reports invalid options of a library in a form in which a program can name its flags instead of
// the options.
package optionerror

import (
	"errors"
	"fmt"
	"strings"
)

// Errors is an error about a set of options. It lists them in the order of the calls of Add.
type Errors struct{ errs []optionError }

// optionError says what is wrong with the value of an option, and the fix.
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

// Error returns one line for each option.
func (e *Errors) Error() string { return e.join("\n", nil) }

// ByFlag returns err in one line in which flags replace the names of the options that they set. Options that are not in
// flags keep their names. It returns an error that is not an [Errors] unchanged.
func ByFlag(err error, flags map[string]string) error {
	if invalid, ok := errors.AsType[*Errors](err); ok {
		return errors.New(invalid.join("; ", flags))
	}
	return err
}

func (e *Errors) join(separator string, flags map[string]string) string {
	lines := make([]string, len(e.errs))
	for i, invalid := range e.errs {
		name := invalid.option
		if flag := flags[name]; flag != "" {
			name = flag
		}
		lines[i] = name + ": " + invalid.err.Error()
	}
	return strings.Join(lines, separator)
}
