package proxies

import (
	"bytes"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

//go:embed provide.sh
var provide string

// programs returns the directory with nginx and haproxy. The error says what to install. The script is embedded, so
// that tests in other Go modules can use this package too.
var programs = sync.OnceValues(func() (string, error) {
	script := exec.Command("bash", "-c", provide)
	var directory, said bytes.Buffer
	script.Stdout, script.Stderr = &directory, &said
	script.Env = os.Environ()
	if err := script.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return "", errors.New(lines[len(lines)-1])
	}
	return strings.TrimSpace(directory.String()), nil
})

// program returns the path of nginx or haproxy.
func program(name string) (string, error) {
	directory, err := programs()
	return filepath.Join(directory, name), err
}
