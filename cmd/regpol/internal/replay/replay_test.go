package replay

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/pastdecision"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/internal/pastcalls"
	"registrationpolicy.dev/operator/test/fixture"
)

const (
	replayLog   = "cmd/regpol/testdata/replay/operator.log"
	replayTable = "cmd/regpol/testdata/replay/people.csv"
	quickstart  = "config/samples/quickstart"

	policiesBefore = "cmd/regpol/testdata/diff/old"
	policiesAfter  = "cmd/regpol/testdata/diff/new"
)

// replayed runs replay with -o json.
func replayed(t *testing.T, stdin string, args ...string) (verbtest.Result, replayReport) {
	t.Helper()
	got := runRegpol(t, stdin, append([]string{"replay", "-o", "json"}, args...)...)
	var r replayReport
	if err := json.Unmarshal([]byte(got.Out), &r); err != nil {
		t.Fatalf("%v\n%s%s", err, got.Out, got.Err)
	}
	return got, r
}

func TestReplayCountsEachCallOnce(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(verbtest.WorkTree, "test/vectors/okta/requests/oie-ssr.json")) // rosario.jones@example.com
	if err != nil {
		t.Fatal(err)
	}
	line := func(keys string) string {
		return `{"msg":"Decided","source":"","requestType":"SelfServiceRegistration","policy":"",` + keys + "}\n"
	}
	for sentence, test := range map[string]struct {
		stdin string
		args  []string
		want  replayCounts
	}{
		"the log of the operator": {
			"", []string{replayLog, "--policies", quickstart},
			replayCounts{Calls: 31, NewlyDenied: 8, NewlyAllowed: 2, StillDenied: 5, StillAllowed: 13, Unknown: 3, AssumedOneDomain: 14},
		},
		"bodies of calls": {string(body) + string(body), []string{"-", "--policies", quickstart}, replayCounts{Calls: 2, Denied: 2}},
		"bodies of calls, with the policies before": {
			string(body), []string{"-", "--policies", quickstart, "--before", policiesAfter}, replayCounts{Calls: 1, StillDenied: 1},
		},
		"a list": {
			"jo@acme.com\njo@contractors.acme.com\nnobody\n", []string{"-", "--policies", quickstart}, replayCounts{Calls: 3, Denied: 2, Allowed: 1},
		},
		"a list of changes of a profile": {
			"jo@acme.com\n", []string{"-", "--policies", "config/samples/set-attributes.yaml", "--request-type", "ProgressiveProfile"},
			replayCounts{Calls: 1, Denied: 1},
		},
		"a table, with the policies before": {
			"", []string{replayTable, "--policies", policiesAfter, "--before", policiesBefore},
			replayCounts{Calls: 5, NewlyAllowed: 1, StillAllowed: 2, StillDenied: 2},
		},
		"several files": {
			"", []string{replayLog, replayTable, "--policies", quickstart},
			replayCounts{
				Calls: 36, NewlyDenied: 8, NewlyAllowed: 2, StillDenied: 5, StillAllowed: 13, Unknown: 3, AssumedOneDomain: 14, Denied: 4, Allowed: 1,
			},
		},
		"a log without domains": {
			line(`"outcome":"ALLOW","reason":"Allowed"`) + line(`"outcome":"DENY","reason":"NotAllowed"`), []string{"-", "--policies", quickstart},
			replayCounts{Calls: 2, Unknown: 2},
		},
		"a log without domains, and nothing applies": {
			line(`"outcome":"ALLOW","reason":"Allowed"`), []string{"-", "--policies", "config/samples/progressive-profile.yaml"},
			replayCounts{Calls: 1, NewlyDenied: 1},
		},
		"one attribute, so that there is no other address": {
			line(`"outcome":"DENY","reason":"NotAllowed","attribute":"email","domain":"acme.com"`),
			[]string{"-", "--policies", quickstart, "--address-attributes", "email"}, replayCounts{Calls: 1, NewlyAllowed: 1},
		},
		"a domain of which one address is denied": {
			line(`"outcome":"ALLOW","reason":"Allowed","domain":"beta.example"`), []string{"-", "--policies", policiesBefore},
			replayCounts{Calls: 1, Unknown: 1},
		},
		"what no policy decides": {
			line(`"outcome":"DENY","reason":"InvalidAddress","attribute":"email"`) + line(`"outcome":"ALLOW","reason":"NoAddressChanged"`) +
				strings.Replace(line(`"outcome":"DENY","reason":"UnrecognisedCall"`), "SelfServiceRegistration", "Unrecognised", 1),
			[]string{"-", "--policies", quickstart}, replayCounts{Calls: 3, StillDenied: 2, StillAllowed: 1},
		},
		"an event of Okta's System Log": {
			`[{"uuid":"1","debugContext":{"debugData":{"x":"{\"decisionID\":\"1\",\"outcome\":\"ALLOW\",\"reason\":\"NoAddressChanged\"}"}}}]`,
			[]string{"-", "--policies", quickstart}, replayCounts{Calls: 1, StillAllowed: 1},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, report := replayed(t, test.stdin, test.args...)
			if got.Code != console.ExitAllowed || got.Err != "" && !strings.Contains(got.Err, "not in force") {
				t.Errorf("exit code %d, %s", got.Code, got.Err)
			}
			if diff := cmp.Diff(test.want, report.Counts); diff != "" {
				t.Errorf("-want +got:\n%s%s", diff, got.Out)
			}
			c := report.Counts
			if c.NewlyDenied+c.NewlyAllowed+c.StillDenied+c.StillAllowed+c.Denied+c.Allowed+c.Unknown != c.Calls {
				t.Errorf("the counts are not all calls: %+v", c)
			}
			inGroups := 0
			for _, g := range report.Groups {
				inGroups += g.Calls
			}
			if inGroups != c.NewlyDenied+c.NewlyAllowed+c.Denied+c.Unknown {
				t.Errorf("%d calls in groups", inGroups)
			}
		})
	}
}

func TestReplayPrintsTheGroups(t *testing.T) {
	for sentence, test := range map[string]struct {
		stdin string
		args  []string
		want  []string
	}{
		"newly denied, by whom and by whom it was allowed": {
			"", []string{replayLog, "--policies", quickstart},
			[]string{
				"Of 31 calls, 8 would newly be denied, 2 would newly be allowed, and for 3 the input does not say enough.\n",
				"  5 × contractors.acme.com by default/contractors spec.deny.domains[0] \"contractors.acme.com\" " +
					"(config/samples/quickstart/contractors.yaml:8) (was allowed by default/acme)\n",
				"  3 × beta.example: NotAllowed (was allowed by default/partners)\n",
				"  2 × domain not known (the operator logs it with --log-domain always)\n",
				"  1 × acme.com: this address is allowed, but the call has another, which is not logged\n",
				"14 calls would be allowed by the one domain that the log has: a login with another domain is not considered.\n",
			},
		},
		"without earlier outcomes": {
			"jo@acme.com\nj o@acme.com\n", []string{"-", "--policies", quickstart},
			[]string{"Of 2 calls, 1 would be denied and 1 allowed.\n", "  1 × an invalid address: InvalidAddress\n"},
		},
		"nothing changes": {
			"email,outcome\njo@acme.com,ALLOW\n", []string{"-", "--policies", quickstart}, []string{"Of 1 call, 1 would be decided as before.\n"},
		},
		"one of many groups": {
			manyDomains(maxGroupLines + 2), []string{"-", "--policies", quickstart}, []string{"      3   in 3 more groups (-v prints them)\n"},
		},
		"all groups": {manyDomains(maxGroupLines + 2), []string{"-", "--policies", quickstart, "-v"}, []string{" 1 × d21.example: NotAllowed\n"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, test.stdin, append([]string{"replay"}, test.args...)...)
			for _, want := range test.want {
				if !strings.Contains(got.Out, want) {
					t.Errorf("without %q:\n%s%s", want, got.Out, got.Err)
				}
			}
		})
	}
}

// manyDomains returns a list of addresses at different domains, and 1,000 at another.
func manyDomains(n int) string {
	text := strings.Repeat("jo@d.example\n", 1000)
	for i := range n {
		text += fmt.Sprintf("jo@d%d.example\n", i)
	}
	return text
}

func TestReplayBoundsItsGroups(t *testing.T) {
	r := &replay{options: &replayOptions{}, decider: pastdecision.New(nil, []string{"email"}), groups: map[group]int{}, policies: &policysource.Set{}}
	for i := range maxGroups + 10 {
		r.add(&pastcalls.Call{Record: pastcalls.Record{
			RequestType: "SelfServiceRegistration", Outcome: "ALLOW", Domain: fmt.Sprintf("d%d.example", i),
		}})
	}
	if len(r.groups) != maxGroups+1 || r.counts.NewlyDenied != maxGroups+10 {
		t.Errorf("%d groups, %+v", len(r.groups), r.counts)
	}
}

func TestReplayPrintsNoLocalPartUnlessAsked(t *testing.T) {
	const list = "eve.secret@other.example\nhidden@@x\nmallory secret@x.example\n"
	for _, output := range console.Outputs {
		got := runRegpol(t, list, "replay", "-", "--policies", policiesAfter, "-v", "-o", output)
		if strings.Contains(got.Out+got.Err, "secret") || strings.Contains(got.Out+got.Err, "hidden") || got.Code != console.ExitAllowed {
			t.Errorf("-o %s prints a local part:\n%s%s", output, got.Out, got.Err)
		}
		got = runRegpol(t, list, "replay", "-", "--policies", policiesAfter, "-v", "-o", output, "--show-addresses")
		if !strings.Contains(got.Out, "eve.secret@other.example") || !strings.Contains(got.Out, "mallory secret@x.example") {
			t.Errorf("-o %s --show-addresses does not print it:\n%s", output, got.Out)
		}
	}
	for _, damaged := range []string{"email\n\"eve.secret@other.example\n", `{"msg":"Decided","x":"eve.secret@`, "[{\"a\": eve.secret@other.example}]"} {
		if got := runRegpol(t, damaged, "replay", "-", "--policies", policiesAfter); strings.Contains(got.Out+got.Err, "secret") {
			t.Errorf("a local part is printed:\n%s%s", got.Out, got.Err)
		}
	}
}

func TestReplayEndsWithTheCodeOfFailOn(t *testing.T) {
	const (
		allowed = "email,outcome\njo@acme.com,ALLOW\n"
		widened = "email,outcome\njo@acme.com,DENY\n"
		narrow  = "email,outcome\njo@other.example,ALLOW\n"
		unknown = "domain,outcome\nbeta.example,ALLOW\n"
	)
	for sentence, test := range map[string]struct {
		stdin, failOn string
		want          int
	}{
		"without --fail-on, a change is no failure": {narrow, "", console.ExitAllowed},
		"newly allowed":                {widened, "widen", console.ExitDenied},
		"nothing widens":               {narrow, "widen", console.ExitAllowed},
		"newly denied":                 {narrow, "widen,narrow", console.ExitDenied},
		"any":                          {narrow, "any", console.ExitDenied},
		"any, and no change":           {allowed, "any", console.ExitAllowed},
		"cannot be told":               {unknown, "unknown", console.ExitDenied},
		"what is unknown is no change": {unknown, "any", console.ExitAllowed},
	} {
		t.Run(sentence, func(t *testing.T) {
			args := []string{"replay", "-", "--policies", quickstart, "--policies", policiesBefore}
			if test.failOn != "" {
				args = append(args, "--fail-on", test.failOn)
			}
			if got := runRegpol(t, test.stdin, args...); got.Code != test.want {
				t.Errorf("exit code %d, want %d\n%s%s", got.Code, test.want, got.Out, got.Err)
			}
		})
	}
}

func TestReplayFindsThatALogContradictsItsRules(t *testing.T) {
	source := policysource.Location{Paths: []string{filepath.Join(verbtest.WorkTree, quickstart)}}
	policies, err := source.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	digest := pastdecision.New(policies.Rules(), []string{"email", "login"}).Digest
	line := func(outcome, domain string) string {
		return fmt.Sprintf(`{"msg":"Decided","source":"","requestType":"SelfServiceRegistration","outcome":%q,"reason":"","attribute":"","domain":%q,`+
			`"digest":%q}`+"\n", outcome, domain, digest)
	}
	agreed, report := replayed(t, line("ALLOW", "acme.com")+line("DENY", "x.example"), "-", "--policies", quickstart)
	if agreed.Code != console.ExitAllowed || report.Counts.Contradictory != 0 || report.Counts.StillAllowed != 1 {
		t.Errorf("exit code %d, %+v", agreed.Code, report.Counts)
	}
	got, report := replayed(t, line("ALLOW", "x.example"), "-", "--policies", quickstart)
	if got.Code != console.ExitFault || report.Counts.Contradictory != 1 || !strings.Contains(got.Err, "these same policies decided some calls otherwise") {
		t.Errorf("exit code %d, %+v\n%s", got.Code, report.Counts, got.Err)
	}
}

func TestReplayRefusesWhatItCannotDecide(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, messages := t.TempDir(), write("messages.log", "{\"msg\":\"Starting\"}\n{\"msg\":\n")
	for sentence, test := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no log":                    {"", []string{"--policies", quickstart}, "give a LOG, - for standard input, or --pods; see regpol replay --help"},
		"standard input twice":      {"", []string{"-", "--policies", "-"}, "only one of LOG, --policies and --before can be standard input"},
		"a file that is not there":  {"", []string{"nowhere.log", "--policies", quickstart}, "nowhere.log"},
		"a directory":               {"", []string{folder, "--policies", quickstart}, "is a directory"},
		"no policy":                 {"", []string{replayLog, "--policies", empty}, "no policy in " + empty},
		"an unknown word":           {"", []string{replayLog, "--policies", quickstart, "--fail-on", "wider"}, `--fail-on: "wider": write one of widen, narrow, any, unknown`},
		"an output that it has not": {"", []string{replayLog, "--policies", quickstart, "-o", "markdown"}, `-o: "markdown": write one of text, json, yaml`},
		"an unknown request type":   {"", []string{replayLog, "--policies", quickstart, "--request-type", "signup"}, `--request-type: "signup": write one of`},
		"files and a cluster":       {"", []string{replayLog, "--policies", quickstart, "-n", "x"}, "--namespace"},
		"policies that are damaged": {"", []string{replayLog, "--policies", "go.mod"}, "go.mod:"},
		"no attribute":              {"", []string{replayLog, "--policies", quickstart, "--address-attributes", ""}, "--address-attributes: name at least one attribute"},
		"an empty input":            {"", []string{"-", "--policies", quickstart}, "standard input is empty"},
		"a binary":                  {"\x7fELF\x00", []string{"-", "--policies", quickstart}, "standard input is binary"},
		"prose":                     {"Hello.\n", []string{"-", "--policies", quickstart}, "standard input is in no format that is known"},
		"a log without a call": {
			"", []string{messages, "--policies", quickstart},
			"no call in " + messages + ": it has 1 line or event without one, and 1 that is damaged",
		},
		"an export that is cut": {`[{"uuid":"1"},`, []string{"-", "--policies", quickstart}, "standard input is damaged or cut off"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, test.stdin, append([]string{"replay"}, test.args...)...)
			if got.Code != console.ExitUsage || !strings.Contains(got.Err, test.want) || got.Out != "" {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
}

func TestReplayWarnsOfWhatItDidNotRead(t *testing.T) {
	const line = `{"msg":"Decided","source":"","requestType":"SelfServiceRegistration","outcome":"DENY","reason":"NotAllowed","domain":"x.example"}` + "\n"
	text := line + line[:50] + "\n" + `{"msg":"Log lines left out","lines":7}` + "\n" + line[3:] + line
	got, report := replayed(t, text, "-", "--policies", quickstart)
	if diff := cmp.Diff(replayRead{Other: 1, Unreadable: 2, LeftOut: 7}, report.Read); diff != "" || got.Code != console.ExitAllowed || report.Counts.Calls != 2 {
		t.Errorf("exit code %d, %s%+v", got.Code, diff, report.Counts)
	}
	for _, want := range []string{
		"regpol: warning: standard input: 2 lines or values are damaged, and were not read; the first is line 2\n",
		"regpol: warning: standard input: the operator left out 7 lines of its log, because it was read too slowly\n",
	} {
		if !strings.Contains(got.Err, want) {
			t.Errorf("without %q:\n%s", want, got.Err)
		}
	}
}

func TestThePageOfReplayHasItsFlagsMembersAndOutput(t *testing.T) {
	text := verbtest.Page(t, Command, "regpol-replay.md")
	_, report := replayed(t, "", replayLog, "--policies", quickstart)
	var members map[string]json.RawMessage
	encoded, err := json.Marshal(report.Counts)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &members); err != nil {
		t.Fatal(err)
	}
	for member := range members {
		if !strings.Contains(text, "`counts."+member+"`") {
			t.Errorf("the page does not have counts.%s", member)
		}
	}
	for _, word := range append([]string{string(pastdecision.NoDomain), string(pastdecision.NoAddress), string(pastdecision.OtherAddress)}, kindOrder...) {
		if !strings.Contains(text, "`"+word+"`") {
			t.Errorf("the page does not have %s", word)
		}
	}
}

func TestGroupedWritesThousandsWithCommas(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12408: "12,408", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
}

func TestReplayComparesWithARevision(t *testing.T) {
	repository := fixture.NewRepository(t)
	policy := func(name, domains string) string {
		return verbtest.Header + name + "}\nspec:\n  allow:\n    domains: [" + domains + "]\n"
	}
	repository.Commit(map[string]string{"policies/p.yaml": policy("p", "acme.com"), "policies/team/t.yaml": policy("t", "team.example")})
	repository.Write(map[string]string{"policies/p.yaml": policy("p", "acme.com, beta.example"), "people.txt": "jo@acme.com\njo@beta.example\njo@team.example\n"})
	for sentence, test := range map[string]struct {
		args string
		want string
	}{
		"the work tree with a branch":   {"--policies policies --at main", "Of 3 calls, 1 would newly be allowed.\n"},
		"other directories of a branch": {"--policies policies --at main --before policies/team", "Of 3 calls, 1 would newly be denied, and 2 would newly be allowed.\n"},
		"the directories below, too":    {"--policies policies -R --before policies/team", "Of 3 calls, 2 would newly be allowed.\n"},
		"both with those below":         {"--policies policies -R --at main", "Of 3 calls, 1 would newly be allowed.\n"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := verbtest.RunHere(t, Command, "", append([]string{"replay", "people.txt"}, strings.Fields(test.args)...)...); !strings.HasPrefix(got.Out, test.want) {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
	for _, args := range []string{"--at main", "-R"} {
		got := verbtest.RunHere(t, Command, "", append([]string{"replay", "people.txt"}, strings.Fields(args)...)...)
		if got.Code != console.ExitUsage || !strings.Contains(got.Err, "--at and -R belong to files: give --policies with them") {
			t.Errorf("%s: exit code %d\n%s", args, got.Code, got.Err)
		}
	}
}
