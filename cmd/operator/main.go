// Command operator decides who may register at Okta. It compiles RegistrationPolicy objects into rules, and answers
// Okta's registration inline hook by them.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}
