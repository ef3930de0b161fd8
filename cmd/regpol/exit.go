package main

// Exit codes, part of the interface: scripts branch on them.
const (
	// exitAllowed: the person may come in; of lists: done, or nothing to do.
	exitAllowed = 0
	// exitDenied: the person may not come in, by decision; of lists: refused by the guard.
	exitDenied = 1
	// exitUsage: wrong flags, or input that cannot be read; nothing was decided.
	exitUsage = 2
	// exitFault: something is wrong with the policies or the hook, whatever the outcome; it is named. Of lists: with the source or
	// the API server.
	exitFault = 3
)

// exitError ends the program with a code. Its text, if any, goes to standard error.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }
