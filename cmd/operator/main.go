// Command operator decides who may register at Okta. It compiles RegistrationPolicy objects into rules, and answers
// Okta's registration inline hook by them.
package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Environ()); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") { // several flags can be wrong
			fmt.Fprintln(os.Stderr, "operator:", line)
		}
		os.Exit(1)
	}
}
