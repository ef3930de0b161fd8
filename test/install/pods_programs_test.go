package install

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// repository is the root of the work tree, seen from this package's folder.
const repository = "../.."

// programs returns a directory for $PATH with the operator, regpol, helm and kubectl.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "install")
	if err != nil {
		return "", err
	}
	programsDir = dir
	// Build in the operator's module. This module also has Helm's dependencies, which could change versions in the
	// operator.
	if _, err := output("go", "-C", repository, "build", "-o", dir+"/", "./cmd/operator", "./cmd/regpol"); err != nil {
		return "", err
	}
	// The go command keeps the tool in its build cache, and prints the path.
	helm, err := output("go", "tool", "-n", "helm.sh/helm/v4/cmd/helm")
	if err != nil {
		return "", err
	}
	for name, target := range map[string]string{
		"helm":           strings.TrimSpace(helm),
		"kubectl":        filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"),
		"kubectl-regpol": "regpol",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
})

// programsDir is the directory that removePrograms removes.
var programsDir string

// removePrograms must be called at the end of the test binary.
func removePrograms() {
	if programsDir != "" {
		_ = os.RemoveAll(programsDir)
	}
}

// program returns the path of a program in the directory of programs.
func program(t testing.TB, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// output runs a command to its end, and returns what it wrote to standard output.
func output(name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	text, err := command.Output()
	if err != nil {
		return string(text), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, text, stderr.Bytes())
	}
	return string(text), nil
}
