package e2e

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// If an option is wrong, the operator prints one line that says what, and exits with 1 before it serves anything.
func TestABadStartSaysOneLineAndExits1(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() }) // a defer would run before the parallel cases
	policies, badPolicies, shortCredential := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(policies, "acme.yaml"), acmePolicy)
	write(t, filepath.Join(badPolicies, "acme.yaml"), strings.ReplaceAll(acmePolicy, "domains: [acme.com]", "domains: [jo@acme.com]"))
	write(t, filepath.Join(shortCredential, "okta"), "hunter2")
	good := []string{
		"--policy-dir", policies, "--hook-auth-dir", credentials(t),
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
	}

	for name, test := range map[string]struct {
		flags []string // added to good flags; the last of two equal ones counts
		want  []string // texts that the line must contain
		never string   // a text that the line must not contain
	}{
		"an unknown flag":                   {[]string{"--polcy-dir", "x"}, []string{"polcy-dir", "see --help"}, ""},
		"a busy port":                       {[]string{"--hook-bind-address", busy.Addr().String()}, []string{"--hook-bind-address", "another process listens at"}, ""},
		"an address without a port":         {[]string{"--probe-bind-address", "localhost"}, []string{"--probe-bind-address", "host:port"}, ""},
		"no such policy directory":          {[]string{"--policy-dir", filepath.Join(policies, "none")}, []string{"--policy-dir", "none"}, ""},
		"a bad policy file":                 {[]string{"--policy-dir", badPolicies}, []string{"acme.yaml:7", "spec.allow.domains[0]"}, "jo@"},
		"no such credential directory":      {[]string{"--hook-auth-dir", filepath.Join(policies, "none")}, []string{"--hook-auth-dir", "none"}, ""},
		"a directory without a credential":  {[]string{"--hook-auth-dir", t.TempDir()}, []string{"--hook-auth-dir", "no file"}, ""},
		"a credential that is too short":    {[]string{"--hook-auth-dir", shortCredential}, []string{"okta", "16"}, "hunter2"},
		"neither credentials nor insecure":  {[]string{"--hook-auth-dir", ""}, []string{"--hook-auth-dir", "--insecure-no-authentication"}, ""},
		"no certificate":                    {[]string{"--hook-tls-dir", policies}, []string{"--hook-tls-dir", "tls.crt"}, ""},
		"a directory and a cluster at once": {[]string{"--watch-namespaces", "a"}, []string{"--policy-dir"}, ""},
		"an unknown log level":              {[]string{"--log-level", "loud"}, []string{"--log-level", "loud", "debug"}, ""},
		"a text with markup":                {[]string{"--text-invalid", "<b>no</b>"}, []string{"text-invalid"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.Command(binary, append(append([]string{}, good...), test.flags...)...)
			command.Env = []string{"HOME=" + t.TempDir()}
			var stderr bytes.Buffer
			command.Stderr = &stderr
			var exit *exec.ExitError
			if err := command.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Fatalf("exit: %v, want 1; %s", err, &stderr)
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			last := lines[len(lines)-1]
			for _, want := range test.want {
				if !strings.Contains(last, want) {
					t.Errorf("%q does not say %q", last, want)
				}
			}
			if len(lines) != 1 {
				t.Errorf("more than one line:\n%s", &stderr)
			}
			if test.never != "" && strings.Contains(stderr.String(), test.never) {
				t.Errorf("says %q: %s", test.never, &stderr)
			}
		})
	}
}
