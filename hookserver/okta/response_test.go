package okta_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/hookserver/okta"
)

var update = flag.Bool("update", false, "write the golden files")

func TestGoldenAnswers(t *testing.T) {
	debug := []byte(`{"decisionID":"QHQZ3CSH4YLCZ7RKXAUVRXTZ4A"}`)

	for name, response := range map[string]okta.Response{
		"allow": okta.Allow(nil),
		"allow-with-profile": okta.Allow([]okta.Value{
			{"department", `null`}, {"tags", `["a","b"]`}, {"userType", `"Partner"`}, {"weight", `1.50`},
		}).WithDebugContext(debug),
		"allow-update-with-profile": okta.AllowUpdate([]okta.Value{{"userType", `"Partner"`}}),
		"deny":                      okta.Deny("Please sign up with your company address.", "EMAIL_NOT_ALLOWED", "email"),
		"deny-with-debug-context": okta.Deny(`Füße "quoted" & 日本`, "EMAIL_INVALID", "login").
			WithDebugContext(debug),
	} {
		t.Run(name, func(t *testing.T) {
			encoded, err := response.Encode(nil)
			if err != nil {
				t.Fatal(err)
			}
			got := jsontext.Value(encoded)
			if err := got.Indent(jsontext.WithIndent("  ")); err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEncodeFailsRatherThanSendWhatIsNotJSON(t *testing.T) {
	for sentence, response := range map[string]okta.Response{
		"a value that is not JSON":     okta.Allow([]okta.Value{{"a", `{`}}),
		"a sentence that is not UTF-8": okta.Deny("\xff", "EMAIL_INVALID", "email"),
	} {
		t.Run(sentence, func(t *testing.T) {
			if encoded, err := response.Encode(nil); err == nil {
				t.Errorf("encoded as %s", encoded)
			}
		})
	}
}
