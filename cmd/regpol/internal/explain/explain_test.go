package explain

import (
	"encoding/json"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/explanation"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/rules"
)

// explained runs explain with -o json.
func explained(t *testing.T, args ...string) (verbtest.Result, explanation.Report) {
	t.Helper()
	got := runRegpol(t, "", append([]string{"explain", "-o", "json"}, args...)...)
	var r explanation.Report
	if err := json.Unmarshal([]byte(got.Out), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, got.Out, got.Err)
	}
	return got, r
}

func TestExplainSaysWhatIsDecidedAndWhy(t *testing.T) {
	const samples = "config/samples"
	for sentence, test := range map[string]struct {
		args   []string
		code   int
		reason rules.Reason
		lines  []string // each begins a line of the text
	}{
		"an address is allowed by an entry of a policy": {
			[]string{"jo@acme.com", "--policies", samples + "/one-company.yaml"}, console.ExitAllowed, rules.ReasonAllowed,
			[]string{
				"allowed  jo@acme.com",
				`reason   Allowed: default/one-company allows by spec.allow.domains[0] "acme.com"`,
				"at       config/samples/one-company.yaml:8",
				`  default/one-company  decides: allows email and login by spec.allow.domains[0] "acme.com"`,
				"  nothing: the registration continues",
			},
		},
		"a deny of one policy overrules the allows of all others": {
			[]string{"jo@contractors.acme.com", "--policies", samples}, console.ExitDenied, rules.ReasonDenied,
			[]string{
				"denied   jo@contractors.acme.com",
				`reason   Denied: default/block-contractors denies by spec.deny.domains[0] "contractors.acme.com"`,
				"  default/audit-first             Audit, decides nothing: no entry matches",
				`  default/everyone-but            allows email and login by spec.allow.domains[0] "*", but loses to the deny of default/block-contractors`,
				"  6 policies do not match: ",
				"  1 policy does not apply to the call: default/progressive-profile",
				"  Classic          at the top: Contractors get their account from the person they work for.",
				"  Identity Engine  next to email: Contractors get their account from the person they work for.",
			},
		},
		"an Audit policy is shown with what it would change": {
			[]string{"jo@free-mail.example", "--policies", samples}, console.ExitAllowed, rules.ReasonAllowed,
			[]string{`  default/audit-first   Audit, decides nothing: denies email and login by spec.deny.domains[0] ` +
				`"free-mail.example"; enforced it would make this DENY (Denied)`},
		},
		"two policies allow, and the first by name is said to decide": {
			[]string{"jo@acme.com", "--policies", samples}, console.ExitAllowed, rules.ReasonAllowed,
			[]string{`  default/one-company             allows email and login by spec.allow.domains[0] "acme.com"; ` +
				"so does default/company-and-subdomains, which is first by name"},
		},
		"within a policy the more specific entry takes precedence": {
			[]string{"mallory@partner.example", "--policies", samples + "/partners-by-address.yaml"}, console.ExitDenied, rules.ReasonDenied,
			[]string{
				`  default/partners-by-address  decides: denies email and login by spec.deny.addresses[0] "mallory@partner.example"`,
				`                                 takes precedence over its own spec.allow.domains[0] "partner.example" for email`,
			},
		},
		"a policy that allows only the login": {
			[]string{"jo@other.example", "--login", "jo@acme.com", "--policies", samples + "/one-company.yaml"}, console.ExitDenied, rules.ReasonNotAllowed,
			[]string{
				"denied   jo@other.example, jo@acme.com",
				"reason   NotAllowed: one policy applies, and none allows every address",
				`  default/one-company  allows login by spec.allow.domains[0] "acme.com" only: one policy must allow every address`,
			},
		},
		"a near miss is named": {
			[]string{"jo@uk.acme.com", "--policies", samples + "/one-company.yaml"}, console.ExitDenied, rules.ReasonNotAllowed,
			[]string{
				"  default/one-company  no entry matches",
				`                         near miss: spec.allow.domains[0] "acme.com" matches only that domain, not its subdomains`,
			},
		},
		"a login that is a user name is no address": {
			[]string{"jo@acme.com", "--login", "jo.doe", "--policies", samples + "/one-company.yaml"}, console.ExitAllowed, rules.ReasonAllowed,
			[]string{`  default/one-company  decides: allows email by spec.allow.domains[0] "acme.com"`},
		},
		"a policy for a source that is not given": {
			[]string{"jo@acme.com", "--shape", "progressive", "--policies", samples + "/progressive-profile.yaml"},
			console.ExitDenied, rules.ReasonNoPolicyApplies,
			[]string{
				"call     Identity Engine progressive profile, no source given",
				"  default/progressive-profile  does not apply: it is for the source rul1bufGk5dJdRYw50g4 (give --source)",
				"  Classic          nothing: it has no progressive profiles",
			},
		},
		"a policy for another source than the call's": {
			[]string{"jo@acme.com", "--shape", "progressive", "--source", "rul2", "--policies", samples + "/progressive-profile.yaml"},
			console.ExitDenied, rules.ReasonNoPolicyApplies,
			[]string{"  default/progressive-profile  does not apply: it is for the source rul1bufGk5dJdRYw50g4"},
		},
		"what is no address is denied before any policy is asked": {
			[]string{"jo", "--policies", samples}, console.ExitDenied, rules.ReasonInvalidAddress,
			[]string{
				"reason   InvalidAddress: email is not an address: it has no @ (NoAtSign)",
				"  11 policies were not consulted: the call was decided before",
				"  Identity Engine  next to email: Please enter a valid email address.",
			},
		},
		"a space that a terminal does not show is quoted": {
			[]string{"jo@acme.com ", "--policies", samples}, console.ExitDenied, rules.ReasonInvalidAddress, []string{
				`denied   "jo@acme.com "`,
				"reason   InvalidAddress: email is not an address: it has a space or an invisible character in it (Blank)",
				"  Identity Engine  next to email: There is a space or an invisible character in the email address or login",
			},
		},
		"the empty address is a missing one": {
			[]string{"", "--policies", samples}, console.ExitDenied, rules.ReasonMissingAddress, []string{"reason   MissingAddress: email holds no address"},
		},
		"an org that has the address in an attribute of its own": {
			[]string{"jo@acme.com", "--address-attributes", "workEmail", "--policies", samples + "/one-company.yaml"}, console.ExitAllowed, rules.ReasonAllowed,
			[]string{`  default/one-company  decides: allows workEmail by spec.allow.domains[0] "acme.com"`},
		},
		"attributes that Okta sets on the new user": {
			[]string{"jo@partner.example", "--policies", samples + "/set-attributes.yaml"}, console.ExitAllowed, rules.ReasonAllowed,
			[]string{`  Okta sets contractor to false`, `  Okta sets regions to ["emea","apac"]`, `  Okta sets userType to "Partner"`},
		},
		"an operator that observes allows, and says what it would decide": {
			[]string{"jo@other.example", "--observe", "--policies", samples + "/one-company.yaml"}, console.ExitAllowed, rules.ReasonNotAllowed,
			[]string{"allowed  jo@other.example", "reason   the operator only observes: the answer is ALLOW; enforced it would be DENY: NotAllowed: one policy applies"},
		},
		"a namespace that is bounded to other sources": {
			[]string{"jo@acme.com", "--source", "rul9", "--namespace-sources", "default=rul1", "--policies", samples + "/one-company.yaml"},
			console.ExitDenied, rules.ReasonNoPolicyApplies,
			[]string{"  default/one-company  does not apply: it is for the source rul1", "                         not in force: spec.appliesTo.sources: "},
		},
		"a policy with only sources outside of its namespace's": {
			[]string{
				"jo@acme.com", "--shape", "progressive", "--source", "rul1bufGk5dJdRYw50g4", "--namespace-sources", "default=rul9",
				"--policies", samples + "/progressive-profile.yaml",
			},
			console.ExitDenied, rules.ReasonNoPolicyApplies,
			[]string{"  default/progressive-profile  not used: --namespace-sources gives its namespace none of its sources"},
		},
		"a call of Okta's from a file": {
			[]string{"-f", "test/vectors/okta/requests/classic-docs.json", "--policies", samples + "/one-company.yaml"},
			console.ExitDenied, rules.ReasonNotAllowed, []string{"call     Classic sign-up, source reghawlks3zOkRrau0h7"},
		},
		"a call with another source than in the file": {
			[]string{"-f", "test/vectors/okta/requests/oie-ssr.json", "--source", "rul9", "--policies", samples + "/one-company.yaml"},
			console.ExitDenied, rules.ReasonNotAllowed, []string{"call     Identity Engine sign-up, source rul9"},
		},
		"a change of a profile that changes no address": {
			[]string{"-f", "test/vectors/okta/requests/oie-progressive.json", "--policies", samples}, console.ExitAllowed, rules.ReasonNoAddressChanged,
			[]string{"allowed  (no address in the call)", "reason   NoAddressChanged: the call changes no address"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "", append([]string{"explain"}, test.args...)...)
			if got.Code != test.code {
				t.Errorf("exit code %d, want %d", got.Code, test.code)
			}
			for _, line := range test.lines {
				if !strings.Contains("\n"+got.Out, "\n"+line) {
					t.Errorf("no line begins %q", line)
				}
			}
			if t.Failed() {
				t.Log(got.Out + got.Err)
			}
			if _, r := explained(t, test.args...); r.Decision.Reason != test.reason {
				t.Errorf("reason %s, want %s", r.Decision.Reason, test.reason)
			}
		})
	}
}

func TestExplainNamesEntriesThatAreNotInForce(t *testing.T) {
	path := verbtest.WritePolicies(t, verbtest.Header+"p}\nspec:\n  allow:\n    domains: [acme.com, co.uk]\n")
	got := runRegpol(t, "", "explain", "jo@acme.com", "--policies", path)
	const fix = `spec.allow.domains[1]: "co.uk": anyone can register names under the public suffix co.uk`
	if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "not in force: "+fix) || !strings.Contains(got.Out, path+":6)") {
		t.Errorf("exit code %d\n%s", got.Code, got.Out)
	}
	if !strings.Contains(got.Err, "warning: a part of default/p is not in force: "+fix) {
		t.Errorf("standard error: %s", got.Err)
	}
	if got := runRegpol(t, "", "explain", "jo@acme.com", "--policies", path, "--strict"); got.Code != console.ExitFault {
		t.Errorf("--strict: exit code %d, want %d", got.Code, console.ExitFault)
	}
	if got := runRegpol(t, "", "explain", "jo@acme.com", "--policies", "config/samples", "--strict"); got.Code != console.ExitAllowed {
		t.Errorf("--strict with nothing amiss: exit code %d\n%s", got.Code, got.Err)
	}
}

func TestWithoutAPolicyNothingIsDecided(t *testing.T) {
	for sentence, args := range map[string][]string{
		"a file with comments only":    {"--policies", "-"},
		"a directory without any file": {"--policies", t.TempDir()},
		"a directory of other objects": {"--policies", "config/crd"},
		"an operator that observes":    {"--policies", t.TempDir(), "--observe"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "# none yet\n", append([]string{"explain", "jo@acme.com"}, args...)...)
			want := "regpol: no policy in " + args[1] + ": give a file or directory that has RegistrationPolicies, or -R for the directories " +
				"below; an operator without a policy denies every registration\n"
			if got.Code != console.ExitUsage || got.Out != "" || !strings.HasSuffix(got.Err, want) {
				t.Errorf("exit code %d\n%s%s\nwant %s", got.Code, got.Out, got.Err, want)
			}
			if ignored := strings.Contains(got.Err, "ignored, because it is not a policy: config/crd/"); ignored != (args[1] == "config/crd") {
				t.Errorf("standard error: %s", got.Err)
			}
		})
	}
}

func TestPoliciesWithoutAPartInTheDecisionShareALine(t *testing.T) {
	var text strings.Builder
	policies := func(n int, name, spec string) {
		for i := range n {
			text.WriteString("---\n" + verbtest.Header + name + string(rune('a'+i)) + "}\nspec: " + spec + "\n")
		}
	}
	policies(13, "p", "{allow: {domains: [d.example]}}")
	policies(2, "q", "{allow: {domains: [acme.com]}, appliesTo: {sources: [rul1]}}")
	policies(1, "z", "{allow: {domains: [acme.com]}}")
	path := verbtest.WritePolicies(t, text.String())
	const decides = `  default/za  decides: allows email and login by spec.allow.domains[0] "acme.com"` + "\n"
	got := runRegpol(t, "", "explain", "jo@acme.com", "--policies", path)
	want := "Policies\n" + decides +
		"  13 policies do not match: default/pa, default/pb, default/pc, default/pd, default/pe, default/pf, default/pg, default/ph, " +
		"default/pi, default/pj and 3 more (-v shows all)\n" +
		"  2 policies do not apply to the call: default/qa, default/qb\n\n"
	if !strings.Contains(got.Out, want) || strings.Contains(got.Out, "Okta gets") {
		t.Errorf("%swant %s", got.Out, want)
	}
	got = runRegpol(t, "", "explain", "jo@acme.com", "--policies", path, "-v")
	if strings.Count(got.Out, "  no entry matches\n") != 13 || !strings.Contains(got.Out, decides) ||
		!strings.Contains(got.Out, "  default/qa  does not apply: it is for the source rul1 (give --source)\n") ||
		!strings.Contains(got.Out, "\nOkta gets\n") {
		t.Errorf("-v:\n%s", got.Out)
	}
	if _, r := explained(t, "jo@acme.com", "--policies", path); len(r.Policies) != 16 {
		t.Errorf("-o json has %d policies", len(r.Policies))
	}
}
