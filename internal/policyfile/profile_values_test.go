package policyfile

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/yamldoc"
	"registrationpolicy.dev/operator/rules"
)

// Only the style of a node shows how its author wrote the value.
func TestProfileValuesThatYAMLChangesAreWarnedOf(t *testing.T) {
	for value, warned := range map[string]bool{
		"01234": true, "-007": true, "1.10": true, "0x1F": true, "1_000": true, "yes": true, "No": true, "on": true, "OFF": true, "[a, 01234]": true,
		`"01234"`: false, "'yes'": false, "1234": false, "0": false, "1.5": false, "true": false, "Partner": false, "[a, b]": false, "10": false,
	} {
		text := "spec:\n  profile:\n  - {attribute: ok, value: ok}\n  - {attribute: a, value: " + value + "}\n"
		node, err := yamldoc.Parse("a.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		d := document{Node: node, policy: rules.Policy{PolicyName: rules.PolicyName{Namespace: "default", Name: "a"}}}
		got := d.valueWarnings()
		if warned != (len(got) == 1) || warned && got[0].Path != "spec.profile[1].value" {
			t.Errorf("%s: %+v", value, got)
		}
		for _, warning := range got {
			if strings.Contains(warning.Message, "1234") || !strings.Contains(warning.Message, "quotes") {
				t.Errorf("%s: %s", value, warning.Message)
			}
		}
	}
}
