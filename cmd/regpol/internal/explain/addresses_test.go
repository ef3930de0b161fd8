package explain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/explanation"
	"registrationpolicy.dev/operator/cmd/regpol/internal/input"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

func TestSeveralAddressesGetOneLineEach(t *testing.T) {
	const policies = "config/samples/quickstart"
	for sentence, test := range map[string]struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		"all are allowed": {
			"", []string{"jo@acme.com", "jo@uk.acme.com"}, console.ExitAllowed,
			"allowed  jo@acme.com     Allowed: default/acme allows by spec.allow.domains[0] \"acme.com\"\n" +
				"allowed  jo@uk.acme.com  Allowed: default/acme allows by spec.allow.domains[1] \"*.acme.com\"\n\n2 allowed, 0 denied\n",
		},
		"one is denied": {
			"", []string{"jo@acme.com", "jo@acme"}, console.ExitDenied,
			"allowed  jo@acme.com  Allowed: default/acme allows by spec.allow.domains[0] \"acme.com\"\n" +
				"denied   jo@acme      InvalidAddress: email is not an address: its domain has only one part, as acme has instead of acme.com " +
				"(TooFewLabels)\n\n1 allowed, 1 denied\n",
		},
		"from standard input, with blank lines, comments and line breaks of Windows": {
			"\ufeff# colleagues\r\n\r\n  jo@acme.com\t\r\n  # nobody\n", []string{"--addresses", "-"}, console.ExitAllowed,
			"allowed  jo@acme.com  Allowed: default/acme allows by spec.allow.domains[0] \"acme.com\"\n\n1 allowed, 0 denied\n",
		},
		"from the command line and then a file": {
			"jo@other.example", []string{"jo@acme.com", "--addresses", "-"}, console.ExitDenied,
			"allowed  jo@acme.com       Allowed: default/acme allows by spec.allow.domains[0] \"acme.com\"\n" +
				"denied   jo@other.example  NotAllowed: 2 policies apply, and none allows every address\n\n1 allowed, 1 denied\n",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, test.stdin, append([]string{"explain", "--policies", policies}, test.args...)...)
			if diff := cmp.Diff(test.want, got.Out); diff != "" || got.Code != test.code || got.Err != "" {
				t.Errorf("exit code %d, want %d; standard error %q (-want +got):\n%s", got.Code, test.code, got.Err, diff)
			}
		})
	}
}

func TestSeveralAddressesWithDetails(t *testing.T) {
	args := []string{"explain", "jo@acme.com", "jo@uk.acme.com", "--policies", "config/samples/quickstart"}
	got := runRegpol(t, "", append(args, "-v")...)
	if strings.Count(got.Out, "\nOkta gets\n") != 2 || strings.Count(got.Out, "\n\nallowed  jo@uk.acme.com\nreason   ") != 1 {
		t.Errorf("-v:\n%s", got.Out)
	}
	for output, unmarshal := range map[string]func([]byte, any) error{
		console.OutputJSON: json.Unmarshal, console.OutputYAML: func(text []byte, to any) error { return yaml.Unmarshal(text, to) },
	} {
		got := runRegpol(t, "", append(args, "-o", output)...)
		var list struct {
			Items []explanation.Report `json:"items"`
		}
		if err := unmarshal([]byte(got.Out), &list); err != nil || len(list.Items) != 2 {
			t.Fatalf("%s: %v, %d items\n%s", output, err, len(list.Items), got.Out)
		}
		for i, address := range args[1:3] {
			if _, want := explained(t, address, "--policies", "config/samples/quickstart"); !sameReport(t, want, list.Items[i]) {
				t.Errorf("%s: item %d is not the report about %s", output, i, address)
			}
		}
	}
}

// sameReport compares two reports as JSON.
func sameReport(t *testing.T, a, b explanation.Report) bool {
	t.Helper()
	var texts [2]string
	for i, r := range []explanation.Report{a, b} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		if text, err = json.Marshal(plain); err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return texts[0] == texts[1]
}

func TestAWarningAboutPoliciesIsPrintedOnce(t *testing.T) {
	path := verbtest.WritePolicies(t, verbtest.Header+"p}\nspec:\n  allow:\n    domains: [acme.com, co.uk]\n")
	got := runRegpol(t, "", "explain", "jo@acme.com", "eve@acme.com", "--policies", path)
	if got.Code != console.ExitAllowed || strings.Count(got.Err, "warning: a part of default/p is not in force") != 1 {
		t.Errorf("exit code %d, standard error:\n%s", got.Code, got.Err)
	}
	if got := runRegpol(t, "", "explain", "jo@acme.com", "eve@other.example", "--policies", path, "--strict"); got.Code != console.ExitFault {
		t.Errorf("--strict: exit code %d", got.Code)
	}
}

func TestAFileOfAddressesThatCannotBeRead(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large.txt")
	if err := os.WriteFile(large, []byte(strings.Repeat("# comment\n", input.MaxBytes/10+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for sentence, test := range map[string]struct{ stdin, file, want string }{
		"no such file":        {"", "nowhere.txt", "regpol: --addresses: open nowhere.txt: no such file or directory\n"},
		"nothing but comment": {"# none\n\n", "-", "regpol: --addresses: stdin: no address: write one address a line; "},
		"not UTF-8":           {"jo@acme.com\n\xff@acme.com\n", "-", "regpol: --addresses: stdin:2: the address is not UTF-8: save the file as UTF-8\n"},
		"a large file":        {"", large, "has 1048576 bytes or more: split it into smaller files\n"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, test.stdin, "explain", "--addresses", test.file, "--policies", "config/samples")
			if got.Code != console.ExitUsage || got.Out != "" || !strings.Contains(got.Err, test.want) {
				t.Errorf("exit code %d, standard output %q, standard error:\n%swant %s", got.Code, got.Out, got.Err, test.want)
			}
		})
	}
}
