package proxies

import (
	"bytes"
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// traefik returns the path of Traefik, which traefik.sh builds once. The script reads the module next to it, which
// cannot be embedded.
var traefik = sync.OnceValues(func() (string, error) {
	_, here, _, found := runtime.Caller(0)
	if !found {
		return "", errors.New("the folder test/proxies cannot be found: set TRAEFIK to the program traefik")
	}
	script := exec.Command(filepath.Join(filepath.Dir(here), "traefik.sh"))
	script.Env, script.Stderr = environment, os.Stderr
	path, err := script.Output()
	return strings.TrimSpace(string(path)), err
})

// environment is the environment at the start of the process. Later, a test may have set another HOME, in which Traefik
// is not cached.
var environment = os.Environ()

// Program returns the path of a proxy's program.
func Program(kind Kind) (string, error) {
	if kind == Traefik {
		return traefik()
	}
	directory, err := programs()
	return filepath.Join(directory, string(kind)), err
}
