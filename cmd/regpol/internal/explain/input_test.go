package explain

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

func TestExplainReadsWhatKubectlAndHelmWrite(t *testing.T) {
	const policy = "{apiVersion: registrationpolicy.dev/v1alpha1, kind: RegistrationPolicy, " +
		"metadata: {name: p, namespace: okta, uid: x, resourceVersion: \"3\", creationTimestamp: null}, spec: {mode: Enforce, allow: {domains: [acme.com]}}, " +
		"status: {observedGeneration: 1}}\n"
	for sentence, stdin := range map[string]string{
		"a list of kubectl get":                   "apiVersion: v1\nkind: List\nitems:\n- " + policy,
		"a list of kubectl get as JSON":           `{"apiVersion":"v1","kind":"List","items":[` + asJSON(t, policy) + `]}`,
		"a list of the kind":                      "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicyList\nitems:\n- " + policy,
		"a policy beside other objects":           "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n" + policy,
		"a policy beside other objects in a list": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}\n- " + policy,
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, stdin, "explain", "jo@acme.com", "--policies", "-")
			if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "Allowed: okta/p allows") {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
			others := strings.Contains(sentence, "other")
			if left := strings.Contains(got.Err, "ignored, because it is not a list: that has the label registrationpolicy.dev/list: \"true\": stdin:"); left != others {
				t.Errorf("standard error: %s", got.Err)
			}
		})
	}
}

func asJSON(t *testing.T, text string) string {
	t.Helper()
	encoded, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestExplainRefusesWhatItCannotReadWithPlaceAndMend(t *testing.T) {
	for sentence, test := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"a star that YAML takes for an alias": {
			verbtest.Header + "p}\nspec:\n  allow:\n    domains: [*.acme.com]\n", []string{"jo@acme.com", "--policies", "-"},
			`stdin:6: to YAML, a value that begins with * is an alias; quote it, as in "*.acme.com"`,
		},
		"a misspelt field": {
			verbtest.Header + "p}\nspec:\n  allow:\n    domian: [acme.com]\n", []string{"jo@acme.com", "--policies", "-"},
			"stdin:6: spec.allow.domian: unknown field; did you mean domains?",
		},
		"a misspelt field in an item of a list": {
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: registrationpolicy.dev/v1alpha1\n  kind: RegistrationPolicy\n" +
				"  metadata: {name: p}\n  spec:\n    allow:\n      domian: [acme.com]\n",
			[]string{"jo@acme.com", "--policies", "-"}, "stdin:9: spec.allow.domian: unknown field",
		},
		"a misspelt kind": {
			"apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicie\n", []string{"jo@acme.com", "--policies", "-"},
			`stdin:2: kind: "RegistrationPolicie": write RegistrationPolicy`,
		},
		"two policies of one name": {
			verbtest.Header + "p}\nspec: {deny: {domains: [ru]}}\n---\n" + verbtest.Header + "p}\nspec: {deny: {domains: [zip]}}\n",
			[]string{"jo@acme.com", "--policies", "-"}, "stdin:8: there is another policy default/p at stdin:3; give it another name",
		},
		"a list whose items are no list":  {"apiVersion: v1\nkind: List\nitems: 3\n", []string{"jo@acme.com", "--policies", "-"}, "stdin:1: not a list of objects"},
		"nothing":                         {"", []string{"jo@acme.com", "--policies", "-"}, "stdin:1: empty"},
		"a file that is not there":        {"", []string{"jo@acme.com", "--policies", "nowhere.yaml"}, "nowhere.yaml: no such file or directory"},
		"neither an address nor a call":   {"", []string{"--policies", "config/samples"}, "give an ADDRESS, a file of them with --addresses, or a call from Okta with -f"},
		"a login of two addresses":        {"", []string{"jo@acme.com", "eve@acme.com", "--login", "jo"}, "--login belongs to one address"},
		"a login of a file":               {"", []string{"--addresses", "x", "--login", "jo"}, "give only one of --login and --addresses"},
		"a call and a file of addresses":  {"", []string{"-f", "x", "--addresses", "y"}, "give only one of --filename and --addresses"},
		"two things in standard input":    {"", []string{"--addresses", "-", "--policies", "-"}, "--addresses and --policies cannot both read standard input"},
		"a misspelt flag":                 {"", []string{"jo@acme.com", "--polices", "x"}, "there is no flag --polices; see regpol explain --help"},
		"both an address and a call":      {"", []string{"jo@acme.com", "-f", "x"}, "not both"},
		"both from standard input":        {"", []string{"-f", "-", "--policies", "-"}, "cannot both read standard input"},
		"files and a cluster":             {"", []string{"jo@acme.com", "--policies", "x", "-n", "okta"}, "give only one of --policies and --namespace"},
		"an unknown shape":                {"", []string{"jo@acme.com", "--shape", "oie"}, `--shape: "oie": write one of classic, identity-engine, progressive`},
		"an unknown output":               {"", []string{"jo@acme.com", "-o", "xml"}, `-o: "xml": write one of text, json, yaml`},
		"a bound without a source":        {"", []string{"jo@acme.com", "--namespace-sources", "a"}, "--namespace-sources: "},
		"an attribute that cannot be one": {"", []string{"jo@acme.com", "--policies", "config/samples", "--address-attributes", "e-mail"}, "--address-attributes: "},
		"a text that browsers would mind": {"", []string{"jo@acme.com", "--policies", "config/samples", "--text-invalid", "<b>"}, "--text-invalid: "},
		"a call that is not JSON":         {"x", []string{"-f", "-", "--policies", "config/samples"}, "stdin is not a call from Okta: it is not a JSON text in UTF-8 (NotJSON); the hook answers it with an error status"},
		"a call with a member twice":      {`{"a":1,"a":2}`, []string{"-f", "-", "--policies", "config/samples"}, "an object in it has two members of the same name (DuplicateMember)"},
		"a call that is too large":        {strings.Repeat(" ", 65<<10), []string{"-f", "-", "--policies", "config/samples"}, "it is longer than 65536 bytes (TooLarge)"},
		"an address that is not UTF-8":    {"", []string{"\xff@acme.com", "--policies", "config/samples"}, "is not UTF-8: write it in a terminal that uses UTF-8"},
		"a kubeconfig that is not there":  {"", []string{"jo@acme.com", "--kubeconfig", "nowhere"}, "kubeconfig: nowhere cannot be read: no such file or directory"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, test.stdin, append([]string{"explain"}, test.args...)...)
			if got.Code != console.ExitUsage || got.Out != "" || !strings.Contains(got.Err, test.want) {
				t.Errorf("exit code %d, standard output %q, standard error:\n%swant %q", got.Code, got.Out, got.Err, test.want)
			}
		})
	}
}
