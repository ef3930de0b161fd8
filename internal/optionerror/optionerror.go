// Package optionerror says what is wrong with the options of a library, so that a program can name its flags instead.
package optionerror

import (
	"errors"
	"fmt"
	"strings"
)

// Errors are the faults of a set of options, in the order in which they were found.
type Errors struct{ faults []optionError }

// optionError is a fault of the option with that name: what is wrong with its value, and the fix.
type optionError struct {
	option string
	err    error
}

// Add adds a fault of an option.
func (e *Errors) Add(option, format string, args ...any) {
	e.faults = append(e.faults, optionError{option, fmt.Errorf(format, args...)})
}

// Err returns the faults as an error; nil if there is none.
func (e *Errors) Err() error {
	if len(e.faults) == 0 {
		return nil
	}
	return e
}

// Error names each option and its fault, one a line.
func (e *Errors) Error() string { return e.join("\n", nil) }

// ByFlag returns an error in one line that names flags in place of the options that they set. An option without a flag keeps its name. An
// error that is about no option is returned unchanged.
func ByFlag(err error, flags map[string]string) error {
	if faults, ok := errors.AsType[*Errors](err); ok {
		return errors.New(faults.join("; ", flags))
	}
	return err
}

func (e *Errors) join(separator string, flags map[string]string) string {
	lines := make([]string, len(e.faults))
	for i, fault := range e.faults {
		name := fault.option
		if flag := flags[name]; flag != "" {
			name = flag
		}
		lines[i] = name + ": " + fault.err.Error()
	}
	return strings.Join(lines, separator)
}
