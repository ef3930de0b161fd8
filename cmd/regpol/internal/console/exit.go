package console

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes. They are part of the interface, because scripts branch on them.
const (
	// ExitAllowed: the person may register, or the check passed. regpol lists: done, or nothing to do.
	ExitAllowed = 0
	// ExitDenied: the person may not register, a test failed, or there is a finding or change that --fail-on selects.
	// regpol lists: the checks of package listsync refuse the new content.
	ExitDenied = 1
	// ExitUsage: wrong flags, unreadable input, or no policy; nothing was decided.
	ExitUsage = 2
	// ExitFault: the policies or the hook have a fault, which is printed, even if the person may register. regpol lists:
	// the source or the API server failed.
	ExitFault = 3
)

// ExitError ends the program with the exit code Code. The text of Err, if any, goes to standard error.
type ExitError struct {
	Code int
	Err  error
}

// Error returns the text of Err, or "".
func (e *ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode returns the exit code of a verb that returned err: ExitUsage, unless err is an [ExitError] or nil.
func ExitCode(err error) int {
	if err == nil {
		return ExitAllowed
	}
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Code
	}
	return ExitUsage
}

// PrintError prints an error of a verb to w, which is standard error. The text of an error can have several lines, one
// for each wrong flag or file. Each line gets the prefix "regpol: ".
func PrintError(w io.Writer, err error) {
	if err == nil || err.Error() == "" {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(w, "regpol: "+line)
	}
}
