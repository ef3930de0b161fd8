package usage

import (
	"errors"
	"strings"
)

// OptionError is what is wrong with an option of a library, by the name of its field. Whoever sets it by a flag says that instead.
type OptionError struct {
	// Option is the name of the field, and Problem what is wrong with its value, and the fix.
	Option  string
	Problem error
}

// Error names the option, then the problem.
func (e *OptionError) Error() string { return e.Option + ": " + e.Problem.Error() }

// Unwrap returns the problem.
func (e *OptionError) Unwrap() error { return e.Problem }

// ByFlag returns an error in one line that names the flags, by the options that they set. An option without a flag keeps its name; an error
// that is about no option stays as it is.
func ByFlag(err error, flags map[string]string) error {
	var lines []string
	collect(err, func(fault *OptionError) {
		name := flags[fault.Option]
		if name == "" {
			name = fault.Option
		}
		lines = append(lines, name+": "+fault.Problem.Error())
	})
	if len(lines) == 0 {
		return err
	}
	return errors.New(strings.Join(lines, "; "))
}

// collect calls a function with each OptionError that an error is made of.
func collect(err error, call func(*OptionError)) {
	switch err := err.(type) { //nolint:errorlint // it goes through the chain itself
	case *OptionError:
		call(err)
	case interface{ Unwrap() []error }:
		for _, one := range err.Unwrap() {
			collect(one, call)
		}
	case interface{ Unwrap() error }:
		collect(err.Unwrap(), call)
	}
}
