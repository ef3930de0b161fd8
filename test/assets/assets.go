// Package assets provides kube-apiserver, etcd and kubectl to tests.
package assets

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Variable is the environment variable that names the directory of kube-apiserver, etcd and kubectl. envtest reads it.
const Variable = "KUBEBUILDER_ASSETS"

// environment is the environment at the start of the process. Later, a test may have set another HOME, in which the
// programs are not cached.
var environment = os.Environ()

// Provide sets [Variable], unless it is set, to the directory that test/controlplane/provide.sh prints. If the programs
// are not cached, the script downloads or builds them, which takes minutes.
func Provide() error {
	if os.Getenv(Variable) != "" {
		return nil
	}
	_, here, _, found := runtime.Caller(0)
	if !found {
		return errors.New("the folder test/controlplane cannot be found: set " + Variable)
	}
	script := filepath.Join(filepath.Dir(here), "..", "controlplane", "provide.sh")
	command := exec.Command(script) //nolint:noctx // before any test has a context
	command.Env, command.Stderr = environment, os.Stderr
	directory, err := command.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: set %s to a directory with kube-apiserver, etcd and kubectl", script, err, Variable)
	}
	return os.Setenv(Variable, strings.TrimSpace(string(directory)))
}
