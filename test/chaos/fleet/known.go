package fleet

import (
	"os/exec"
	"strings"
)

// onlyKnown drops flags that the operator does not have yet.
func onlyKnown(binary string, arguments []string) []string {
	help, _ := exec.Command(binary, "--help").CombinedOutput()
	var known []string
	for i := 0; i < len(arguments); i += 2 {
		if strings.Contains(string(help), arguments[i]+" ") {
			known = append(known, arguments[i], arguments[i+1])
		}
	}
	return known
}
