package verbtest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
)

// WorkTree is the root directory of the repository. It is set before any test changes the working directory.
var WorkTree = workTree()

// workTree returns the directory above the working directory that has the file go.mod, or "" if there is none: the binary
// of the tests is also started as the program, in any directory.
func workTree() string {
	for dir, _ := os.Getwd(); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// Verb returns the command of a verb.
type Verb = func(console.Streams) *cobra.Command

// Result is the result of a run of the program: its exit code Code, and what it wrote to standard output (Out) and standard
// error (Err).
type Result struct {
	Code     int
	Out, Err string
}

// Run runs the program with one verb in the work tree. The first of args is the name of the verb.
func Run(t *testing.T, of Verb, stdin string, args ...string) Result {
	t.Helper()
	t.Chdir(WorkTree)
	return RunHere(t, of, stdin, args...)
}

// RunHere runs the program with one verb in the working directory.
func RunHere(t *testing.T, of Verb, stdin string, args ...string) Result {
	t.Helper()
	var out, err bytes.Buffer
	s := console.Streams{In: strings.NewReader(stdin), Out: &out, Err: &err}
	code := console.Run(t.Context(), console.NewRoot(s, of(s)), args)
	return Result{code, out.String(), err.String()}
}

// Program is the name of a link to the binary of the tests. Started by this name, the binary is regpol with one verb.
const Program = "kubectl-regpol"

// Main runs the tests of a package or, if the binary was started as [Program], the verb. TestMain calls it, so that
// tests can run the verb in a process of its own. It returns the exit code.
func Main(m *testing.M, of Verb) int {
	if filepath.Base(os.Args[0]) != Program {
		return m.Run()
	}
	s := console.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	return console.Run(context.Background(), console.NewRoot(s, of(s)), os.Args[1:])
}
