package manual

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"registrationpolicy.dev/operator/test/assets"
)

// programs is the directory with the operator and regpol, built once.
var programs string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := assets.Provide(); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		return 1
	}
	ctrllog.SetLogger(logr.Discard()) // discards logs of the tests' own client
	var err error
	if programs, err = os.MkdirTemp("", "manual"); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(programs) }()
	build := exec.Command("go", "build", "-o", programs+"/",
		"registrationpolicy.dev/operator/cmd/operator", "registrationpolicy.dev/operator/cmd/regpol")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "manual: build the programs:", err)
		return 1
	}
	return m.Run()
}
