package main

// Exit codes. They are part of the interface, because scripts branch on them.
const (
	// exitAllowed: the person may register. regpol lists: done, or nothing to do.
	exitAllowed = 0
	// exitDenied: the person may not register. regpol lists: the checks of package listsync refuse the new content.
	exitDenied = 1
	// exitUsage: wrong flags, unreadable input, or no policy; nothing was decided.
	exitUsage = 2
	// exitFault: the policies or the hook have a fault, which is printed, even if the person may register. regpol lists:
	// the source or the API server failed.
	exitFault = 3
)

// exitError ends the program with an exit code. Its text, if any, goes to standard error.
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
