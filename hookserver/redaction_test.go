package hookserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

func TestCleanIdentifier(t *testing.T) {
	secrets := []string{"mika.ito", "mika.ito@example.org", "u", "u@example.org", "", "@x", "opaque-credential", "al.x", "bob", "zoe.zabel"}
	for sentence, test := range map[string]struct{ id, want string }{
		"none":                            {"", ""},
		"an id of Okta's":                 {"XWVxW2zcaH5-Ii74OsI6CgAACJw", "XWVxW2zcaH5-Ii74OsI6CgAACJw"},
		"an id of Okta's with an at sign": {"Xc1assicCapture@AAABzM", "Xc1assicCapture@AAABzM"},
		"a source of 2018":                {"/api/v1/registration/reg17/register", "/api/v1/registration/reg17/register"},
		"as long as can be":               {strings.Repeat("x", 128), strings.Repeat("x", 128)},
		"too long":                        {strings.Repeat("x", 129), idTooLong},
		"a space":                         {"a b", idCharacter},
		"a line break":                    {"a\nb", idCharacter},
		"beyond ASCII":                    {"é", idCharacter},
		"an exclamation mark":             {"!TooLong", idCharacter},
		"the address":                     {"mika.ito@example.org", idPersonal},
		"a local part in it":              {"reg-mika.ito-7", idPersonal},
		"a local part in another case":    {"reg-MIKA.ITO-7", idPersonal},
		"a local part with the last letter of the alphabet": {"reg-ZOE.ZABEL-7", idPersonal},
		"a local part of four bytes in it":                  {"reg-al.x-7", idPersonal},
		"a local part of three bytes in it":                 {"reg-bob-7", "reg-bob-7"},
		"a local part of three bytes before an at sign":     {"reg-bob@7", idPersonal},
		"a short local part alone":                          {"u", idPersonal},
		"a short address in it":                             {"xu@example.org", idPersonal},
		"a letter of a short local part":                    {"rul1", "rul1"},
		"an address of somebody else":                       {"al@elsewhere.example", idPersonal},
		"a credential":                                      {"opaque-credential", idPersonal},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := loggableIdentifier(test.id, secrets); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDebugContextFits(t *testing.T) {
	longest := func(i int) rules.PolicyName {
		return rules.PolicyName{Namespace: strings.Repeat("n", 63), Name: fmt.Sprintf("%d%s", i%10, strings.Repeat("p", 252))}
	}
	short := func(i int) rules.PolicyName { return rules.PolicyName{Namespace: "n", Name: fmt.Sprint(i)} }
	for sentence, test := range map[string]struct {
		name   func(int) rules.PolicyName
		audits int
		kept   int
	}{
		"no audit outcome, the longest names":  {longest, 0, 0},
		"one audit outcome, the longest names": {longest, 1, 0},
		"a few audit outcomes":                 {short, 3, 3},
		"a thousand audit outcomes":            {short, 1000, -1},
		"a name that cannot be":                {func(int) rules.PolicyName { return rules.PolicyName{Name: strings.Repeat("x", 2000)} }, 3, 0},
		"a name that is not UTF-8":             {func(int) rules.PolicyName { return rules.PolicyName{Name: "\xff"} }, 3, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			d := rules.Decision{
				Reason: rules.ReasonPolicyNotEnforceable, Policy: test.name(0), TookPart: 1000,
				Attribute: strings.Repeat("a", maxAttributeName), Invalid: rules.ManyAtSigns,
			}
			for i := range test.audits {
				d.Audit = append(d.Audit, rules.AuditOutcome{Policy: test.name(i), Outcome: rules.Allow, Reason: rules.ReasonAllowed})
			}
			c := decidedCall{
				decisionID: strings.Repeat("A", 26), digest: "sha256:" + strings.Repeat("0", 64), source: strings.Repeat("s", 128),
				shape: rules.SignUp, decision: d, policy: d.Policy.String(),
			}
			encoded := c.appendDebugContext(nil)
			if len(encoded) > 1024 {
				t.Errorf("%d bytes", len(encoded))
			}
			var read struct {
				Reason       string
				Audit        []any
				AuditOmitted int
			}
			if err := json.Unmarshal(encoded, &read); err != nil {
				t.Fatal(err)
			}
			if read.Reason != string(d.Reason) || len(read.Audit)+read.AuditOmitted != test.audits {
				t.Errorf("%s", encoded)
			}
			if test.kept >= 0 && len(read.Audit) != test.kept || test.kept < 0 && len(read.Audit) == 0 {
				t.Errorf("%d audit outcomes kept: %s", len(read.Audit), encoded)
			}
		})
	}
}

func TestDebugContextMayHaveItsLargestSize(t *testing.T) {
	c := decidedCall{decision: rules.Decision{Reason: rules.ReasonDenied}, policy: "p"}
	const policy = `"policy":"p`
	c.policy = strings.Repeat("p", len("p")+maxDebugContext-len(c.appendDebugContext(nil)))
	largest := c.appendDebugContext(nil)
	if len(largest) != maxDebugContext || !strings.Contains(string(largest), policy) {
		t.Errorf("%d bytes: %s", len(largest), largest)
	}
	if got := c.appendDebugContext([]byte("before")); string(got) != "before"+string(largest) {
		t.Errorf("behind other bytes: %s", got)
	}
	c.policy += "p"
	if got := c.appendDebugContext(nil); len(got) > maxDebugContext || strings.Contains(string(got), policy) {
		t.Errorf("a byte more: %s", got)
	}
}
