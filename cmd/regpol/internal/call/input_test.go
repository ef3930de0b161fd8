package call

import (
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

func TestCallTakesTheCredentialFrom(t *testing.T) {
	for sentence, test := range map[string]struct {
		variable, file, stdin string // file - is standard input; else the file's content
		want                  string
	}{
		"the environment":                        {variable: "from-env", want: "from-env"},
		"the environment, with a line break":     {variable: "from-env\n", want: "from-env"},
		"a file, before the environment":         {variable: "from-env", file: "from-file", want: "from-file"},
		"a file, without its final line break":   {file: "from-file\n", want: "from-file"},
		"a file of Windows":                      {file: "from-file\r\n", want: "from-file"},
		"standard input":                         {file: "-", stdin: "from-stdin\n", want: "from-stdin"},
		"a file, with the spaces that are in it": {file: "Basic x y", want: "Basic x y"},
		"nowhere":                                {},
	} {
		t.Run(sentence, func(t *testing.T) {
			var sent []string
			args := serveHook(t, func(w http.ResponseWriter, r *http.Request) {
				sent = r.Header.Values("X-Registration-Hook-Key")
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, allowAnswer)
			})
			t.Setenv(credentialVariable, test.variable)
			args = append([]string{"call", "--no-probe", "--header", "X-Registration-Hook-Key"}, args...)
			switch test.file {
			case "":
			case "-":
				args = append(args, "--credential-file", "-")
			default:
				file := filepath.Join(t.TempDir(), "credential")
				verbtest.WriteTo(t, file, test.file)
				args = append(args, "--credential-file", file)
			}
			got := runRegpol(t, test.stdin, args...)
			if got.Code != console.ExitAllowed || strings.Join(sent, "|") != test.want {
				t.Errorf("exit code %d, sent %q\n%s%s", got.Code, sent, got.Out, got.Err)
			}
		})
	}
}

func TestResolveReads(t *testing.T) {
	at := func(key, address string) map[string]netip.AddrPort {
		return map[string]netip.AddrPort{key: netip.MustParseAddrPort(address)}
	}
	for entry, want := range map[string]map[string]netip.AddrPort{
		"hook.example.com:443:192.0.2.1":        at("hook.example.com:443", "192.0.2.1:443"),
		"hook.example.com:443:127.0.0.1:8443":   at("hook.example.com:443", "127.0.0.1:8443"),
		"hook.example.com:https:127.0.0.1:8443": at("hook.example.com:443", "127.0.0.1:8443"),
		"hook.example.com:http:192.0.2.1":       at("hook.example.com:80", "192.0.2.1:80"),
		"hook.example.com:443:2001:db8::1":      at("hook.example.com:443", "[2001:db8::1]:443"),
		"hook.example.com:443:[2001:db8::1]:44": at("hook.example.com:443", "[2001:db8::1]:44"),
		"hook.example.com:443":                  nil,
		":443:192.0.2.1":                        nil,
		"hook.example.com:443:elsewhere":        nil,
		"hook.example.com:ssh:192.0.2.1":        nil,
		"hook.example.com:99999:192.0.2.1":      nil,
	} {
		t.Run(entry, func(t *testing.T) {
			got, err := parseResolve([]string{entry})
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" || (err == nil) != (want != nil) {
				t.Errorf("(-want +got), %v:\n%s", err, diff)
			}
		})
	}
}
