package console

import (
	"bytes"
	"errors"
	"testing"

	"github.com/spf13/cobra"
)

func TestTheExitCodeAndTheTextOfAnError(t *testing.T) {
	for sentence, test := range map[string]struct {
		err  error
		code int
		text string
	}{
		"none":                  {nil, ExitAllowed, ""},
		"a code alone":          {&ExitError{Code: ExitDenied}, ExitDenied, ""},
		"a code with its cause": {&ExitError{Code: ExitFault, Err: errors.New("x")}, ExitFault, "regpol: x\n"},
		"several":               {errors.Join(errors.New("x"), errors.New("y")), ExitUsage, "regpol: x\nregpol: y\n"},
	} {
		t.Run(sentence, func(t *testing.T) {
			var text bytes.Buffer
			verb := &cobra.Command{Use: "verb", RunE: func(*cobra.Command, []string) error { return test.err }}
			if code := Run(t.Context(), NewRoot(Streams{Err: &text}, verb), []string{"verb"}); code != test.code || text.String() != test.text {
				t.Errorf("exit code %d, %q", code, text.String())
			}
		})
	}
}

func TestAReportInEachFormat(t *testing.T) {
	for output, want := range map[string]string{OutputText: "text", OutputJSON: "{\n  \"a\": \"<\"\n}\n", OutputYAML: "a: <\n"} {
		var out bytes.Buffer
		err := WriteReport(Streams{Out: &out}, output, map[string]string{"a": "<"}, func() []byte { return []byte("text") })
		if err != nil || out.String() != want {
			t.Errorf("%s: %v, %q", output, err, out.String())
		}
	}
}
