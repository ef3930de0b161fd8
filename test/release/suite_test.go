package release

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"registrationpolicy.dev/operator/test/assets"
)

// repository is the root of the work tree, seen from this folder.
const repository = "../.."

var (
	// existing is the directory with a release to test; "": the tests build one.
	existing = os.Getenv("RELEASE_DIST")
	version  = cmp.Or(os.Getenv("RELEASE_VERSION"), "v9.8.7")
	plain    = strings.TrimPrefix(version, "v") // the version as charts and tags have it
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := assets.Provide(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctrllog.SetLogger(logr.Discard())
	directory, err := os.MkdirTemp("", "release")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(directory) }()
	scratch = directory
	return m.Run()
}

// scratch is a directory for the whole run.
var scratch string

// built is the directory with the release, which the first test that asks for it builds.
var built = sync.OnceValues(func() (string, error) {
	if existing != "" {
		return existing, nil
	}
	directory := filepath.Join(scratch, "dist")
	_, err := output("make", "-C", repository, "release", "VERSION="+version, "DIST="+directory, "RELEASE=-allow-dirty")
	return directory, err
})

func dist(t *testing.T) string {
	t.Helper()
	directory, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return directory
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

func mustOutput(t *testing.T, name string, args ...string) string {
	t.Helper()
	text, err := output(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// helm is the path of Helm, which the module test/install pins.
var helm = sync.OnceValues(func() (string, error) {
	path, err := output("go", "-C", filepath.Join(repository, "test", "install"), "tool", "-n", "helm.sh/helm/v4/cmd/helm")
	return strings.TrimSpace(path), err
})

func runHelm(t *testing.T, args ...string) string {
	t.Helper()
	path, err := helm()
	if err != nil {
		t.Fatal(err)
	}
	return mustOutput(t, path, args...)
}
