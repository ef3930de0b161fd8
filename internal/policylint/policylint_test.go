package policylint

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// local is a local part that no output may have.
const local = "lprivate7"

// check reads one file.
func check(t *testing.T, text string) *policyfile.Checked {
	t.Helper()
	reader, err := policyfile.NewOffline()
	if err != nil {
		t.Fatal(err)
	}
	checked, err := reader.Check(t.Context(), []string{"-"}, strings.NewReader(strings.ReplaceAll(text, "{local}", local)))
	if err != nil {
		t.Fatal(err)
	}
	return checked
}

// lines returns findings as "line:column id path".
func lines(findings []Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%d:%d %s %s", f.At.Line, f.At.Column, f.ID, f.Path)))
	}
	return all
}

// policy returns a file with a policy. Its spec begins in line 5.
func policy(spec string) string {
	return "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: p}\nspec:\n  " +
		strings.ReplaceAll(spec, " | ", "\n  ") + "\n"
}

func TestEachKindOfFindingHasItsPlace(t *testing.T) {
	const other = "---\napiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: q}\nspec: "
	list := func(labels, entries string) string {
		return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: l" + labels + "}\ndata: {entries: \"" + entries + "\"}\n"
	}
	const labelled = ", labels: {registrationpolicy.dev/list: 'true'}"
	seen := map[string]bool{}
	for _, test := range []struct {
		text string
		want []string
	}{
		{policy("mode: audit | deny: {domains: [ru]}"), []string{"5:3 unknown-value spec.mode"}},
		{policy("allows: {domains: [acme.com]}"), []string{"5:3 unknown-field spec.allows"}},
		{policy("deny: {domains: [ru, null]}"), []string{"5:24 missing-value spec.deny.domains[1]"}},
		{policy("deny: {domains: [ru, ru]}"), []string{"5:24 duplicate-item spec.deny.domains[1]"}},
		{policy("deny: {domains: [" + strings.Repeat("a", 300) + "]}"), []string{"5:20 too-long spec.deny.domains[0]"}},
		{policy("deny: {domains: ru}"), []string{"5:10 wrong-type spec.deny.domains"}},
		{policy("deny: {domains: [ru]} | profile: [{attribute: a, value: {b: c}}]"), []string{"6:28 wrong-type spec.profile[0].value"}},
		{policy("deny: {domains: [ru, acme.com.]}"), []string{"5:24 invalid-entry spec.deny.domains[1]"}},
		{policy("deny: {domains: [ru]} | message: a < b"), []string{"6:3 invalid-value spec.message"}},
		{" \n", []string{"1:1 empty-file"}},
		{"- a\n", []string{"1:1 not-an-object"}},
		{policy("deny: {domains: [ru]}") + "---\n" + policy("deny: {domains: [su]}"), []string{"9:12 duplicate-object"}},
		{policy("allow: {domains: [acme.org, acme]}"), []string{"5:31 not-in-force spec.allow.domains[1]"}},
		{policy("allow: {lists: [{configMap: {name: l, key: k}}]}") + list(labelled, "acme.org"), []string{"5:19 list-not-found spec.allow.lists[0]"}},
		{policy("allow: {lists: [{configMap: {name: l}}]}") + list(labelled, "!"), []string{"5:19 list-invalid spec.allow.lists[0]"}},
		{policy("deny: {lists: [{configMap: {name: l}}]}"), []string{"5:18 list-not-in-files spec.deny.lists[0]"}},
		{policy("deny: {lists: [{configMap: {name: l}, optional: true}]}"), []string{"5:18 list-not-in-files spec.deny.lists[0]"}},
		{policy("appliesTo: {sources: [rul2]} | allow: {domains: [acme.org]}"), []string{"5:25 outside-scope spec.appliesTo.sources[0]"}},
		{policy("allow: {domains: [acme.org, gmail.com]}"), []string{"5:31 mailbox-provider spec.allow.domains[1]"}},
		{policy("allow: {publicSuffixes: ['*.com', edu]}"), []string{
			"5:28 open-suffix spec.allow.publicSuffixes[0]", "5:37 bare-suffix spec.allow.publicSuffixes[1]"}},
		{policy("allow: {domains: [acme.org, a.acme.org]} | deny: {domains: [a.acme.org]}"), []string{"5:31 denied-here spec.allow.domains[1]"}},
		{policy("deny: {domains: [ru, globex]}"), []string{"5:24 unknown-tld spec.deny.domains[1]"}},
		{policy("allow: {domains: [acme.org]}") + other + "{deny: {domains: [acme.org]}}\n", []string{"5:21 denied-elsewhere spec.allow.domains[0]"}},
		{policy("allow: {domains: [a.acme.org, '*.acme.org']}"), []string{"5:21 redundant spec.allow.domains[0]"}},
		{policy("allow: {domains: [acme.org]}") + other + "{allow: {domains: [acme.org]}}\n", []string{
			"5:21 in-several-policies spec.allow.domains[0]", "10:26 in-several-policies spec.allow.domains[0]"}},
		{policy("allow: {domains: [globex.com, gl0bex.com]}"), []string{
			"5:21 look-alike spec.allow.domains[0]", "5:33 look-alike spec.allow.domains[1]"}},
		{policy("allow: {domains: ['*']}"), []string{"5:21 everybody spec.allow.domains[0]"}},
		{policy("deny: {domains: [ru]} | profile: [{attribute: a, value: b}]"), []string{"6:3 unsent-profile spec.profile"}},
		{policy("allow: {domains: [acme.org]} | profile: [{attribute: a, value: 012}]"), []string{"6:28 unquoted-value spec.profile[0].value"}},
		{policy("allow: {lists: [{configMap: {name: l}}]}") + list(labelled, strings.Repeat(`a.example\n`, 200)+`!\ncom\n`), []string{
			"5:19 skipped-lines spec.allow.lists[0]", "5:19 unusable-lines spec.allow.lists[0]"}},
		{policy("deny: {lists: [{configMap: {name: l}}]}") + list(labelled, `a.example\ncom.ar\n`), []string{"5:18 suffix-in-deny-list spec.deny.lists[0]"}},
		{policy("allow: {domains: &a [acme.org, b.acme.org]} | deny: {domains: *a}"), []string{
			"5:24 denied-here spec.allow.domains[0]", "5:34 denied-here spec.allow.domains[1]", "5:34 redundant spec.deny.domains[1]"}},
		{policy("deny: {domains: [&a ru, *a]}"), []string{"5:27 duplicate-item spec.deny.domains[1]"}},
		{policy("allow: {addresses: ['{local}@acme.org.']} | deny: {domains: [ru]}"), []string{"5:23 invalid-entry spec.allow.addresses[0]"}},
		{policy("allow: {domains: ['{local}@acme.org']}"), []string{"5:21 invalid-entry spec.allow.domains[0]"}},
		{policy("allow: {addresses: " + local + "}"), []string{"5:11 wrong-type spec.allow.addresses"}},
		{policy("allow: {users: [" + local + "], user: " + local + "}"), []string{
			"5:11 unknown-field spec.allow.users", "5:31 unknown-field spec.allow.user"}},
		{policy("allow: {addresses: ['{local}@acme.org', '{LOCAL}@acme.org']}"), []string{
			"5:45 invalid-entry spec.allow.addresses[1]"}},
	} {
		result := Find(check(t, test.text), Options{Files: true, Scopes: policyobject.Scopes{"default": {"rul1"}}})
		var findings []Finding
		for _, f := range result.Findings {
			if f.Path == "spec.appliesTo.sources" { // every policy without sources, because there is a scope
				continue
			}
			findings = append(findings, f)
			seen[f.ID] = true
			if severity, known := severityOf(f.ID); !known || severity != f.Severity {
				t.Errorf("%s is %s", f.ID, f.Severity)
			}
		}
		if diff := cmp.Diff(test.want, lines(findings)); diff != "" {
			t.Errorf("%s\n%s", test.text, diff)
		}
		if text := fmt.Sprintf("%+v", result); strings.Contains(text, local) {
			t.Errorf("a local part: %s", text)
		}
	}
	// What no single file can show, and what other tests show.
	for _, id := range []string{notUnderstood, "unlabelled-list", "profile-conflict", "no-effect", "optional-list-missing",
		"not-compared", "more", unusedSilence, emptySilence} {
		seen[id] = true
	}
	for _, kind := range Kinds() {
		if !seen[kind.ID] {
			t.Errorf("no case has %s", kind.ID)
		}
	}
}

func TestAValueHasItsCorrection(t *testing.T) {
	for spec, want := range map[string][2]string{
		"deny: {domains: [acme.com.]}":                                    {"acme.com.", "acme.com"},
		"deny: {domains: ['https://acme.com/x']}":                         {"https://acme.com/x", "acme.com"},
		"allow: {domains: ['*acme.com']}":                                 {"*acme.com", "*.acme.com"},
		"mode: audit | deny: {domains: [ru]}":                             {"audit", "Audit"},
		"allows: {domains: [acme.org]}":                                   {"", "allow"},
		"allow: {addresses: ['mailto:{local}@acme.org']}":                 {"(someone)@acme.org", "(someone)@acme.org"},
		"allow: {domains: [.acme.com]}":                                   {".acme.com", ""}, // there are two
		"deny: {domains: [ru]} | profile: [{attribute: login, value: x}]": {"login", ""},
	} {
		findings := Find(check(t, policy(spec)), Options{Files: true}).Findings
		if len(findings) != 1 || findings[0].Value != want[0] || findings[0].Corrected != want[1] {
			t.Errorf("%s: %+v, want %q", spec, findings, want)
		}
	}
	shown := Find(check(t, policy("allow: {addresses: ['mailto:{local}@acme.org']}")), Options{Files: true, ShowAddresses: true}).Findings
	if shown[0].Value != "mailto:"+local+"@acme.org" || shown[0].Corrected != local+"@acme.org" {
		t.Errorf("with addresses: %+v", shown)
	}
}

func TestTheConsequencesOfAMistakeAreNoFindings(t *testing.T) {
	const second = "---\napiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: q}\nspec: "
	for sentence, test := range map[string]struct {
		text string
		want []string
	}{
		"an only entry that is not in force": {policy("allow: {domains: [com]}"), []string{"5:21 not-in-force spec.allow.domains[0]"}},
		"a deny that is refused, and would be the exception": {
			policy("allow: {domains: ['*']}") + second + "{deny: {domains: [ru.]}}\n", []string{"10:25 invalid-entry spec.deny.domains[0]"}},
		"a deny by a list that is not in the files": {
			policy("allow: {domains: ['*']} | deny: {lists: [{configMap: {name: l}}]}"), []string{"6:18 list-not-in-files spec.deny.lists[0]"}},
		"two lists that are not in the files": {
			policy("allow: {lists: [{configMap: {name: a}}]} | deny: {lists: [{configMap: {name: b}}]}"),
			[]string{"5:19 list-not-in-files spec.allow.lists[0]", "6:18 list-not-in-files spec.deny.lists[0]"}},
		"an optional list without its key, beside another policy's mistake": {
			policy("deny: {lists: [{configMap: {name: l, key: k}, optional: true}]}") +
				"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: l, labels: {registrationpolicy.dev/list: 'true'}}\ndata: {entries: acme.org}\n" +
				second + "{deny: {domains: [ru.]}}\n",
			[]string{"4:1 no-effect spec", "5:18 optional-list-missing spec.deny.lists[0]", "15:25 invalid-entry spec.deny.domains[0]"}},
		"an unquoted value of a policy that is refused": {
			policy("mode: audit | allow: {domains: [acme.org]} | profile: [{attribute: a, value: 012}]"), []string{"5:3 unknown-value spec.mode"}},
		"two policies of one name": {
			policy("allow: {domains: [acme.org]}") + "---\n" + policy("allow: {domains: [acme.org]}"), []string{"9:12 duplicate-object"}},
	} {
		if diff := cmp.Diff(test.want, lines(Find(check(t, test.text), Options{Files: true}).Findings)); diff != "" {
			t.Errorf("%s\n%s", sentence, diff)
		}
	}
}

func TestAnAnnotationSilencesWarnings(t *testing.T) {
	silenced := func(id, reason, spec string) string {
		return strings.Replace(policy(spec), "{name: p}", "{name: p, annotations: {"+SilencePrefix+id+": "+reason+"}}", 1)
	}
	const open, at = "allow: {domains: [gmail.com, hotmail.com]}", "metadata.annotations[" + SilencePrefix
	for sentence, test := range map[string]struct {
		text     string
		silenced int
		want     []string
	}{
		"all of its kind":  {silenced("mailbox-provider", "founders", open), 2, nil},
		"without a reason": {silenced("mailbox-provider", "' '", open), 2, []string{"3:35 silence-without-reason " + at + "mailbox-provider]"}},
		"no other kind": {silenced("redundant", "why", open), 0, []string{
			"3:35 unused-silence " + at + "redundant]", "5:21 mailbox-provider spec.allow.domains[0]", "5:32 mailbox-provider spec.allow.domains[1]"}},
		"no error": {silenced("not-in-force", "why", "allow: {domains: [com]}"), 0, []string{
			"3:35 unused-silence " + at + "not-in-force]", "5:21 not-in-force spec.allow.domains[0]"}},
		"nothing unknown": {silenced("nothing", "why", "deny: {domains: [ru]}"), 0, []string{"3:35 unused-silence " + at + "nothing]"}},
		"not itself":      {silenced("unused-silence", "why", "deny: {domains: [ru]}"), 0, []string{"3:35 unused-silence " + at + "unused-silence]"}},
		"of a refused policy, of which warnings are unknown": {silenced("redundant", "why", "deny: {domains: [ru.]}"), 0, []string{
			"5:20 invalid-entry spec.deny.domains[0]"}},
		"not those of other policies": {
			silenced("mailbox-provider", "founders", open) + "---\n" + strings.Replace(policy("allow: {domains: [gmx.de]}"), "name: p", "name: q", 1), 2,
			[]string{"11:21 mailbox-provider spec.allow.domains[0]"}},
		"those of each policy that has it": {
			silenced("mailbox-provider", "founders", open) + "---\n" +
				strings.Replace(silenced("mailbox-provider", "founders", "allow: {domains: [gmx.de]}"), "name: p", "name: q", 1), 3, nil},
		"not on a list": {
			policy("deny: {lists: [{configMap: {name: l}}]}") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: l, labels: " +
				"{registrationpolicy.dev/list: 'true'}, annotations: {" + SilencePrefix + "redundant: x}}\ndata: {entries: a.example}\n",
			0, []string{"9:82 unused-silence " + at + "redundant]"}},
	} {
		result := Find(check(t, test.text), Options{Files: true})
		if diff := cmp.Diff(test.want, lines(result.Findings)); diff != "" || result.Silenced != test.silenced {
			t.Errorf("%s: %d silenced\n%s", sentence, result.Silenced, diff)
		}
	}
}

func TestPoliciesOfAClusterAreExaminedWithoutFiles(t *testing.T) {
	reader, err := policyfile.NewOffline()
	if err != nil {
		t.Fatal(err)
	}
	var objects []unstructured.Unstructured
	for _, text := range []string{
		policy("allow: {domains: [gmail.com], lists: [{configMap: {name: l}}]}"),
		strings.Replace(policy("future: x | deny: {domains: [ru], lists: [{configMap: {name: l}}]}"), "name: p", "name: q", 1),
	} {
		object := unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
			t.Fatal(err)
		}
		object.SetNamespace("ns")
		objects = append(objects, object)
	}
	checked, err := reader.CheckObjects(t.Context(), objects, func(context.Context) ([]corev1.ConfigMap, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range Find(checked, Options{}).Findings {
		if f.At.File != "" {
			t.Errorf("a file: %+v", f)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s", f.Policy, f.ID, f.Path, f.Value))
	}
	want := []string{
		"ns/p mailbox-provider spec.allow.domains[0] gmail.com", "ns/p list-not-found spec.allow.lists[0] ", "ns/q unknown-field spec.future ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestThePageListsEveryKind(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/regpol-lint.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []Kind
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z][a-z-]*)` \\| (error|warning) \\|").FindAllStringSubmatch(string(page), -1) {
		got = append(got, Kind{row[1], Severity(row[2])})
	}
	byID := func(a, b Kind) int { return strings.Compare(a.ID, b.ID) }
	if diff := cmp.Diff(slices.SortedFunc(slices.Values(Kinds()), byID), slices.SortedFunc(slices.Values(got), byID)); diff != "" {
		t.Error(diff)
	}
}
