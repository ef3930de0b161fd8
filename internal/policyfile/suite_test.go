package policyfile

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/test/fixture"
)

// said is all that was logged in all tests.
var said = &fixture.Transcript{}

func loggerTo(w io.Writer) logr.Logger { return fixture.Logger(w, said) }

func TestMain(m *testing.M) {
	code := m.Run()
	if mark := fixture.HoldsLocalPart(said.String()); mark != "" {
		fmt.Fprintf(os.Stderr, "FAIL: after all tests: the log holds the local part %q\n", mark)
		code = 1
	}
	os.Exit(code)
}
