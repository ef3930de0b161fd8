package policyfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

// directoryFixture is a directory of policy files, with what is made of it.
type directoryFixture struct {
	*Directory

	dir      string
	store    *rules.Store
	registry *prometheus.Registry
	log      *fixture.Transcript
}

// openDirectory opens a new directory with files, given as name and text; {local} stands for localPart.
func openDirectory(t *testing.T, namesAndTexts ...string) *directoryFixture {
	t.Helper()
	f := &directoryFixture{dir: t.TempDir(), store: &rules.Store{}, registry: prometheus.NewRegistry(), log: &fixture.Transcript{}}
	for i := 0; i < len(namesAndTexts); i += 2 {
		f.write(t, namesAndTexts[i], namesAndTexts[i+1])
	}
	var err error
	f.Directory, err = OpenDirectory(f.dir, f.store, nil, publish.NewMetrics(f.registry), loggerTo(f.log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // a machine has but a few watches; Start gives this one back when it ends
		ended, end := context.WithCancel(context.WithoutCancel(t.Context()))
		end()
		if err := f.Start(ended); err != nil {
			t.Error(err)
		}
	})
	return f
}

// write replaces a file, with one rename.
func (f *directoryFixture) write(t *testing.T, name, text string) {
	t.Helper()
	hidden := filepath.Join(f.dir, "."+name)
	if err := os.WriteFile(hidden, []byte(strings.ReplaceAll(text, "{local}", fixture.LocalPart)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(hidden, filepath.Join(f.dir, name)); err != nil {
		t.Fatal(err)
	}
}

func (f *directoryFixture) load(t *testing.T) {
	t.Helper()
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// refused loads, and returns the error that must come of it, without the directory's own name.
func (f *directoryFixture) refused(t *testing.T) string {
	t.Helper()
	err := f.Load(t.Context())
	if err == nil {
		t.Fatal("loaded")
	}
	if mark := fixture.HoldsLocalPart(err.Error()); mark != "" {
		t.Errorf("the error holds the local part: %v", err)
	}
	return strings.ReplaceAll(err.Error(), f.dir+"/", "")
}

// run runs the directory's watch until the end of the test.
func (f *directoryFixture) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f.Start(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func (f *directoryFixture) stale(t *testing.T) float64 {
	t.Helper()
	return fixture.Metric(t, f.registry, "registration_policy_rules_stale")
}

// policyFile returns a document; its spec begins on line 4.
func policyFile(name, spec string) string {
	const head = "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\n"
	return head + "metadata: {name: " + name + "}\nspec:" + spec + "\n"
}

const allowAcme = "\n  allow:\n    domains: [acme.com]"

// The objects that the API server admits and refuses, as ../test/api proves, are admitted and refused from a file too.
const apiTestdata = "../../test/api/testdata/"

func TestGoodObjectsLoadFromAFile(t *testing.T) {
	const samples = "../../config/samples/"
	for _, path := range globbed(t, apiTestdata+"good/*.yaml", samples+"*.yaml", samples+"quickstart/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := openDirectory(t, "policy.yaml", read(t, path))
			f.load(t)
			want := 1
			if strings.Contains(read(t, path), "\nkind: ConfigMap\n") {
				want = 0 // a list
			}
			if n := len(snapshotIn(t, f.store).Policies()); n != want {
				t.Errorf("%d policies, want %d", n, want)
			}
		})
	}
}

func TestBadObjectsAreRefusedFromAFile(t *testing.T) {
	place := regexp.MustCompile(`(?m)^policy\.yaml:([1-9][0-9]*): `)
	for _, path := range globbed(t, apiTestdata+"bad/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text := read(t, path)
			f := openDirectory(t, "policy.yaml", text)
			got := f.refused(t)
			if !place.MatchString(got) {
				t.Errorf("the error names no line of the file: %s", got)
			}
			want := asInFiles(comment(text, "want"))
			if want == "" || !strings.Contains(got, want) && !ownFix.MatchString(got) && !strings.Contains(got, ": has no value: write ") {
				t.Errorf("the error is\n%s\nwant in it\n%s", got, want)
			}
			at := comment(text, "at")
			if at != "" && !strings.Contains(got, ": "+at+": ") {
				t.Errorf("the error is\n%s\nwant it to be about %s", got, at)
			}
			if _, err := f.store.Load(); err == nil {
				t.Error("something was published")
			}
		})
	}
}

// ownFix matches an error that quotes the value of an entry and names the fix for that value.
var ownFix = regexp.MustCompile(`: spec\.(allow|deny)\.\w+\[0\]: ((".*" |it |the part |has ).*: (write|move it to|check its)|is empty; write) `)

// asInFiles returns the error about a file for an error of an API server, which quotes the value.
func asInFiles(want string) string {
	switch {
	case strings.HasPrefix(want, "should match"):
		return "write "
	case strings.HasPrefix(want, "supported values"):
		return ": write "
	case strings.HasPrefix(want, "must have at most 0"), want == "at least 1 properties":
		return "is of type object: write a string"
	case strings.HasPrefix(want, "should be at least 1 char"), strings.HasPrefix(want, "should have at least 1 "):
		return ": is empty; write "
	}
	if strings.HasPrefix(want, "Duplicate value: ") {
		if strings.Contains(want, `{"name":`) {
			return "give each its own name"
		}
		if strings.Contains(want, `{"attribute":`) {
			return "write each attribute once"
		}
		return "listed twice; write each item once"
	}
	if path, found := strings.CutPrefix(want, `unknown field "`); found {
		return ": " + strings.TrimSuffix(path, `"`) + ": unknown field"
	}
	return strings.Replace(want, "Required value", "required", 1)
}

func globbed(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no files %s (%v)", pattern, err)
		}
		all = append(all, paths...)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// comment returns what follows "# key: " in a text.
func comment(text, key string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, "# "+key+": "); found {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}

func snapshotIn(t *testing.T, store *rules.Store) *rules.Snapshot {
	t.Helper()
	snapshot, err := store.Load()
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func TestBadFilesAreRefusedByLine(t *testing.T) {
	good := policyFile("good", allowAcme)
	cases := map[string]struct {
		text string
		want []string // each in the error
	}{
		"a misspelt field": {
			policyFile("p", "\n  allow:\n    domains: [acme.com]\n    adresses: [\"{local}@acme.com\"]"),
			[]string{"p.yaml:7: spec.allow.adresses: unknown field"}},
		"nothing at all":               {"", []string{"p.yaml:1: empty; "}},
		"blank lines only":             {" \n\n", []string{"p.yaml:1: empty; "}},
		"an unknown field beside spec": {good + "specs: {}\n", []string{"p.yaml:7: specs: unknown field"}},
		"an unknown field of metadata": {
			strings.Replace(good, "{name: good}", "{name: good, label: {}}", 1),
			[]string{"p.yaml:3: metadata.label: unknown field; did you mean labels?"}},
		"another kind": {
			strings.Replace(good, "RegistrationPolicy", "ConfigMap", 1), []string{`p.yaml:2: kind: "ConfigMap": write RegistrationPolicy`}},
		"another version": {
			strings.Replace(good, "v1alpha1", "v1", 1), []string{`p.yaml:1: apiVersion: "registrationpolicy.dev/v1": write registrationpolicy.dev/v1alpha1`}},
		"no name": {
			strings.Replace(good, "{name: good}", "{}", 1), []string{"p.yaml:3: metadata.name: required"}},
		"a name of no shape": {
			strings.Replace(good, "{name: good}", "{name: No_}", 1), []string{`p.yaml:3: metadata.name: "No_": write a name as in Kubernetes`, "RFC 1123"}},
		"metadata is text": {
			strings.Replace(good, "{name: good}", "good", 1), []string{`p.yaml:3: metadata: "good": write an object with a name`}},
		"no spec": {
			strings.Split(good, "spec:")[0], []string{"p.yaml:1: spec: required: write what the policy allows or denies"}},
		"a list": {"- a\n- b\n", []string{"p.yaml:1: not an object; write apiVersion, kind, metadata and spec"}},
		"one name twice": {
			good + "---\n" + good,
			[]string{"p.yaml:10: there is another policy default/good at ", "p.yaml:3; give it another name"}},
		"one field twice": {
			policyFile("p", allowAcme+"\n  allow: {domains: [beta.example]}"),
			[]string{"p.yaml:7: ", `"allow" already set`, "write each field once"}},
		"an address twice": {
			policyFile("p", "\n  allow:\n    {local}@acme.com: 1\n    {local}@acme.com: 1"),
			[]string{"p.yaml:7: ", "write each field once"}},
		"a wildcard without quotes": {
			policyFile("p", "\n  allow:\n    domains: [*.acme.com]"), []string{"p.yaml:6: ", `quote it, as in "*.acme.com"`}},
		"an alias of nothing": {
			policyFile("p", "\n  allow:\n    domains: [*acme]"), []string{"p.yaml:", `quote it, as in "*.acme.com"`}},
		"an address for an alias": {
			policyFile("p", "\n  allow:\n    addresses: [*{local}@acme.com]"), []string{"p.yaml:"}},
		"a tab": {
			policyFile("p", "\n\tallow: {domains: [acme.com]}"), []string{"p.yaml:5: not YAML: ", "indent with spaces"}},
		"a field whose members are commented out": {
			policyFile("p", "\n  appliesTo:\n    # sources: [rul1]\n  allow: {domains: [acme.com]}"),
			[]string{"p.yaml:5: spec.appliesTo: has no value: write one"}},
		"an open bracket": {
			policyFile("p", "\n  allow: {domains: [acme.com}"), []string{"p.yaml:", "not YAML: ", "brackets"}},
		"an address for a field": {
			policyFile("p", "\n  allow:\n    domains: [acme.com]\n    {local}@acme.com: 1"),
			[]string{"p.yaml:5: spec.allow.…: unknown field"}},
		"an address for a field beside spec": {
			good + "{local}@acme.com: 1\n", []string{"p.yaml:1: …: unknown field"}},
		"an address for an annotation's value of a wrong type": {
			strings.Replace(good, "{name: good}", "{name: good, annotations: {\"{local}@acme.com\": 1}}", 1),
			[]string{"p.yaml:3: metadata"}},
		"an address for a domain": {
			policyFile("p", "\n  allow:\n    domains: [\"{local}@acme.com\"]"),
			[]string{`p.yaml:6: spec.allow.domains[0]: "…@acme.com" is an address: move it to spec.allow.addresses`}},
		"an address for a list": {
			policyFile("p", "\n  allow:\n    addresses: {local}@acme.com"),
			[]string{"p.yaml:6: spec.allow.addresses: ", "must be of type array"}},
		"the second document, after a comment": {
			good + "---\n# of Ann\n" + policyFile("p", "\n  allow:\n    domains: []"),
			[]string{"p.yaml:14: spec.allow.domains: "}},
		"the second document, after a separator with a comment": {
			good + "--- # of Ann\n" + policyFile("p", "\n  deny:\n    domains: [\"@\"]"),
			[]string{"p.yaml:13: spec.deny.domains[0]: "}},
		"an item of a list on lines of their own": {
			policyFile("p", "\n  allow:\n    domains:\n    - acme.com\n    - \"a b\""),
			[]string{"p.yaml:8: spec.allow.domains[1]: "}},
		"a document that begins on the line of its separator": {
			good + "--- {apiVersion: registrationpolicy.dev/v1alpha1}\n",
			[]string{"p.yaml:7: another document begins here; write --- alone"}},
		"a document after an end": {
			good + "...\n" + policyFile("p", "\n  deny: {domains: [acme.com]}"),
			[]string{"p.yaml:7: not YAML: ", "document start"}},
		"rubbish after an end": {good + "...\n[\n", []string{"p.yaml:", "not YAML"}},
		"several faults, each by its line": {
			policyFile("p", "\n  allow:\n    domains: [\"@\"]\n  deny:\n    domains: [\"@\"]"),
			[]string{"p.yaml:6: spec.allow.domains[0]: ", "p.yaml:8: spec.deny.domains[0]: "}},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			got := openDirectory(t, "p.yaml", c.text).refused(t)
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("the error is\n%s\nwant in it\n%s", got, want)
				}
			}
		})
	}
}

func TestFaultsOfAllFilesAreSaid(t *testing.T) {
	bad := policyFile("bad", "\n  allow: {domains: []}")
	got := openDirectory(t, "a.yaml", bad, "b.yaml", bad, "c.yaml", "- 1").refused(t)
	for _, want := range []string{"a.yaml:5: ", "b.yaml:5: ", "c.yaml:1: "} {
		if !strings.Contains(got, want) {
			t.Errorf("the error is\n%s\nwant in it\n%s", got, want)
		}
	}
	good := policyFile("good", allowAcme)
	got = openDirectory(t, "a.yaml", good, "b.yaml", good).refused(t)
	if !strings.Contains(got, "b.yaml:3: there is another policy default/good at a.yaml:3") {
		t.Errorf("one name in two files: %s", got)
	}
}

func TestFilesThatCannotBeReadAreErrors(t *testing.T) {
	good := policyFile("good", allowAcme)
	cases := map[string]struct {
		prepare func(t *testing.T, dir string) error
		want    string
	}{
		"too large": {func(_ *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, "b.yaml"), []byte(strings.Repeat("#", MaxFile+1)), 0o600)
		}, "b.yaml: over 4194304 bytes; split it"},
		"a symlink to nothing": {func(_ *testing.T, dir string) error {
			return os.Symlink("nowhere", filepath.Join(dir, "b.yaml"))
		}, "b.yaml: no such file"},
		"a device": {func(_ *testing.T, dir string) error {
			return os.Symlink("/dev/zero", filepath.Join(dir, "b.yaml"))
		}, "b.yaml: neither a file nor a directory"},
		"a directory that is gone": {func(_ *testing.T, dir string) error { return os.RemoveAll(dir) }, "no such file"},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			f := openDirectory(t, "a.yaml", good)
			f.load(t)
			if err := c.prepare(t, f.dir); err != nil {
				t.Fatal(err)
			}
			if got := f.refused(t); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %q", got, c.want)
			}
			fixture.WantAnswer(t, f.store, fixture.LocalPart+"@acme.com", "ALLOW Allowed")
		})
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	d, err := OpenDirectory(nowhere, &rules.Store{}, nil, publish.NewMetrics(prometheus.NewRegistry()), loggerTo(said))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Load(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestWhatAFileMayHold(t *testing.T) {
	acme, beta := policyFile("acme", allowAcme), policyFile("beta", "\n  allow: {domains: [beta.example]}")
	cases := map[string]struct {
		files []string
		want  []string // names of policies
	}{
		"no file":       {nil, nil},
		"comments only": {[]string{"a.yaml", "# nothing\n---\n# at all\n"}, nil},
		"null":          {[]string{"a.yaml", "---\nnull\n"}, nil},
		"several documents": {
			[]string{"a.yaml", "---\n" + acme + "---\n" + beta + "---\n"}, []string{"default/acme", "default/beta"}},
		"separators with comments": {
			[]string{"a.yaml", "--- # one\n" + acme + "---   # two\n" + beta}, []string{"default/acme", "default/beta"}},
		"lines that end as in DOS": {
			[]string{"a.yaml", strings.ReplaceAll(acme+"---\n"+beta, "\n", "\r\n")}, []string{"default/acme", "default/beta"}},
		"several files": {[]string{"a.yaml", acme, "b.yml", beta}, []string{"default/acme", "default/beta"}},
		"a namespace of its own": {
			[]string{"a.yaml", strings.Replace(acme, "{name: acme}", "{name: acme, namespace: team}", 1)}, []string{"team/acme"}},
		"one name in two namespaces": {
			[]string{"a.yaml", acme + "---\n" +
				strings.Replace(acme, "{name: acme}", "{name: acme, namespace: team}", 1)},
			[]string{"default/acme", "team/acme"}},
		"other names and hidden ones": {
			[]string{"a.yaml", acme, ".b.yaml", "- 1", "README.md", "- 1"}, []string{"default/acme"}},
		"an alias that means something": {
			[]string{"a.yaml",
				policyFile("acme", "\n  allow:\n    domains: &d [acme.com]\n  deny:\n    domains: *d")},
			[]string{"default/acme"}},
		"JSON": {[]string{"a.json", `{"apiVersion": "registrationpolicy.dev/v1alpha1", "kind": "RegistrationPolicy",
			"metadata": {"name": "acme"}, "spec": {"allow": {"domains": ["acme.com"]}}}`}, []string{"default/acme"}},
		"a stored object, with its status": {
			[]string{"a.yaml", acme + "status: {observedGeneration: 1}\n"}, []string{"default/acme"}},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			f := openDirectory(t, c.files...)
			f.load(t)
			var got []string
			for _, policy := range snapshotIn(t, f.store).Policies() {
				got = append(got, policy.String())
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("policies %v, want %v", got, c.want)
			}
		})
	}
}

func TestAFailedChangeOfFilesLeavesTheOldState(t *testing.T) {
	f := openDirectory(t,
		"a.yaml", policyFile("acme", allowAcme), "b.yaml", policyFile("beta", "\n  deny: {domains: [beta.example]}"))
	f.load(t)
	before := snapshotIn(t, f.store).Digest()
	f.run(t)

	// One file gets better, one gets bad: as a whole, nothing changes.
	f.write(t, "a.yaml", policyFile("acme", "\n  allow: {domains: [\"*\"]}"))
	f.write(t, "b.yaml", policyFile("beta", "\n  deny: {domain: [\"{local}@beta.example\"]}"))
	fixture.Eventually(t, fixture.Within, func() string {
		if err := f.Err(); err == nil || !strings.Contains(err.Error(), "b.yaml:5: spec.deny.domain: unknown field") {
			return fmt.Sprintf("Err is %v", err)
		}
		return ""
	})
	if after := snapshotIn(t, f.store).Digest(); after != before {
		// The first of the two changes may have been read alone; then the second leaves that.
		fixture.WantAnswer(t, f.store, fixture.LocalPart+"@other.example", "ALLOW Allowed")
	}
	fixture.WantAnswer(t, f.store, fixture.LocalPart+"@beta.example", "DENY Denied")
	if f.stale(t) != 1 || fixture.Builds(t, f.registry, "read_failed") == 0 {
		t.Errorf("stale is %v, %d failures counted", f.stale(t), fixture.Builds(t, f.registry, "read_failed"))
	}
	fixture.Eventually(t, fixture.Within, func() string {
		if log := f.log.String(); !strings.Contains(log, "Policy files refused") || !strings.Contains(log, "b.yaml:5: ") {
			return "no log line says so: " + log
		}
		return ""
	})
	f.write(t, "b.yaml", policyFile("beta", "\n  deny: {domains: [gamma.example]}"))
	fixture.EventuallyAnswers(t, fixture.Within, f.store, fixture.LocalPart+"@gamma.example", "DENY Denied")
	fixture.Eventually(t, fixture.Within, func() string {
		if f.Err() != nil || f.stale(t) != 0 || !strings.Contains(f.log.String(), "accepted again") {
			return fmt.Sprintf("Err is %v, stale is %v", f.Err(), f.stale(t))
		}
		return ""
	})
	fixture.WantAnswer(t, f.store, fixture.LocalPart+"@beta.example", "ALLOW Allowed")
}

// Each change of an invalid file logs the errors of the new content, one per line.
func TestEachChangedSaveThatIsRefusedIsLogged(t *testing.T) {
	good := policyFile("acme", allowAcme)
	f := openDirectory(t, "a.yaml", good)
	f.load(t)
	attempt := func(spec string) []string {
		t.Helper()
		f.write(t, "a.yaml", policyFile("acme", spec))
		before := len(f.log.String())
		f.logLoadError(f.Load(t.Context()))
		f.logLoadError(f.Load(t.Context())) // a look without a change
		var lines []string
		for line := range strings.Lines(f.log.String()[before:]) {
			if strings.Contains(line, "Policy files refused") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	const dot, number = "\n  allow:\n    domains: [acme.com.]", "\n  allow:\n    domains: [7]"
	for i, test := range []struct {
		spec string
		want []string // one in each line
	}{
		{dot, []string{`a.yaml:6: spec.allow.domains[0]: \"acme.com.\" ends in a dot: write acme.com`}},
		{number, []string{`a.yaml:6: spec.allow.domains[0]: \"7\": must be of type string`}},
		{dot, []string{`\"acme.com.\" ends in a dot`}},                   // the same fault again, after another
		{dot + "\n  # changed", []string{`\"acme.com.\" ends in a dot`}}, // another text, with the same fault
		{"\n  allow:\n    domains:\n    - acme.com.\n    - .acme.com\n    - acme.com/", []string{
			`a.yaml:7: spec.allow.domains[0]: \"acme.com.\"`, `a.yaml:8: spec.allow.domains[1]: \".acme.com\"`,
			`a.yaml:9: spec.allow.domains[2]: \"acme.com/\"`,
		}},
	} {
		got := attempt(test.spec)
		if len(got) != len(test.want) {
			t.Fatalf("attempt %d: %d lines, want %d: %q", i, len(got), len(test.want), got)
		}
		for j, want := range test.want {
			if !strings.Contains(got[j], want) || !strings.Contains(got[j], "level=ERROR") {
				t.Errorf("attempt %d: the line is\n%s\nwant in it\n%s", i, got[j], want)
			}
		}
	}
	f.write(t, "a.yaml", good)
	f.load(t)
	f.logLoadError(f.Err())
	if got := attempt(dot); len(got) != 1 {
		t.Errorf("after a good one: %q", got)
	}
	if got := attempt("\n  allow:\n    domains:" + strings.Repeat("\n    - .acme.com", maxLoggedErrors+7)); len(got) != maxLoggedErrors+1 ||
		!strings.Contains(got[maxLoggedErrors], "further=") {
		t.Errorf("%d lines of very many faults", len(got))
	}
}

func TestFilesThatGoBackToWhatTheyWereAreNoLongerRefused(t *testing.T) {
	good := policyFile("acme", allowAcme)
	f := openDirectory(t, "a.yaml", good)
	f.load(t)
	f.write(t, "a.yaml", "[")
	f.refused(t)
	f.refused(t) // read once more, it is no better
	f.write(t, "a.yaml", good)
	f.load(t)
	if f.Err() != nil || f.stale(t) != 0 {
		t.Errorf("Err is %v, stale is %v", f.Err(), f.stale(t))
	}
}

func TestEveryWayToChangeAFileComesIntoForce(t *testing.T) {
	f := openDirectory(t)
	f.load(t)
	fixture.WantAnswer(t, f.store, fixture.LocalPart+"@acme.com", "DENY NoPolicyApplies")
	f.run(t)
	policy := func(domain string) []byte {
		return []byte(policyFile("acme", "\n  allow: {domains: ["+domain+"]}"))
	}
	path := filepath.Join(f.dir, "acme.yaml")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(path, policy("created.example"), 0o600))
	fixture.EventuallyAnswers(t, fixture.Within, f.store, fixture.LocalPart+"@created.example", "ALLOW Allowed")
	must(os.WriteFile(path, policy("edited.example"), 0o600))
	fixture.EventuallyAnswers(t, fixture.Within, f.store, fixture.LocalPart+"@edited.example", "ALLOW Allowed")
	f.write(t, "acme.yaml", string(policy("renamed.example")))
	fixture.EventuallyAnswers(t, fixture.Within, f.store, fixture.LocalPart+"@renamed.example", "ALLOW Allowed")
	must(os.Remove(path))
	fixture.EventuallyAnswers(t, fixture.Within, f.store, fixture.LocalPart+"@renamed.example", "DENY NoPolicyApplies")

	// As a kubelet does it.
	swap := func(version, domain string) {
		t.Helper()
		hidden := filepath.Join(f.dir, "..version-"+version)
		must(os.Mkdir(hidden, 0o700))
		must(os.WriteFile(filepath.Join(hidden, "acme.yaml"), policy(domain), 0o600))
		must(os.Symlink(filepath.Base(hidden), filepath.Join(f.dir, "..data_tmp")))
		must(os.Rename(filepath.Join(f.dir, "..data_tmp"), filepath.Join(f.dir, "..data")))
	}
	swap("1", "one.example")
	must(os.Symlink(filepath.Join("..data", "acme.yaml"), path))
	fixture.EventuallyAnswers(t, fixture.Within, f.store, fixture.LocalPart+"@one.example", "ALLOW Allowed")
	swap("2", "two.example")
	fixture.EventuallyAnswers(t, fixture.Within, f.store, fixture.LocalPart+"@two.example", "ALLOW Allowed")
	must(os.RemoveAll(filepath.Join(f.dir, "..version-1")))
	if err := f.Err(); err != nil {
		t.Error(err)
	}
}

func TestAnEntryThatCannotBeUsedIsLoggedByLine(t *testing.T) {
	const spec = `
  allow:
    domains:
    - acme.com
    - co.uk
    addresses:
    - "{local}@xn--zzzzzzzzz.example"`
	f := openDirectory(t, "a.yaml", policyFile("acme", spec))
	f.load(t)
	fixture.WantAnswer(t, f.store, fixture.LocalPart+"@acme.com", "ALLOW Allowed")
	fixture.WantAnswer(t, f.store, fixture.LocalPart+"@co.uk", "DENY NotAllowed")
	log := f.log.String()
	for _, want := range []string{
		"at=" + f.dir + "/a.yaml:8 path=spec.allow.domains[1] why=", "spec.allow.publicSuffixes",
		"at=" + f.dir + "/a.yaml:10 path=spec.allow.addresses[0] why=",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log is\n%s\nwant in it\n%s", log, want)
		}
	}
	if n := fixture.Metric(t, f.registry, "registration_policy_rejected_parts"); n != 2 {
		t.Errorf("%v rejected parts counted, want 2", n)
	}
}

// A read during a swap can see files of two versions. Only one complete version is published.
func TestASwapIsSeenAsAWhole(t *testing.T) {
	dir := t.TempDir()
	store := &rules.Store{}
	swap := func(version int, denying string) {
		hidden := filepath.Join(dir, fmt.Sprintf("..version-%d", version))
		if err := os.Mkdir(hidden, 0o700); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"a", "z"} {
			text := policyFile(name, "\n  allow: {domains: [acme.com]}")
			if name == denying {
				text = policyFile(name, "\n  deny: {domains: [acme.com]}")
			}
			if err := os.WriteFile(filepath.Join(hidden, name+".yaml"), []byte(text), 0o600); err != nil {
				t.Error(err)
			}
		}
		if err := os.Symlink(filepath.Base(hidden), filepath.Join(dir, "..data_tmp")); err != nil {
			t.Error(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Error(err)
		}
	}
	swap(0, "z")
	for _, name := range []string{"a.yaml", "z.yaml"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenDirectory(dir, store, nil, publish.NewMetrics(prometheus.NewRegistry()), loggerTo(said))
	if err != nil {
		t.Fatal(err)
	}
	const swaps = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		for version := 1; version <= swaps; version++ {
			swap(version, []string{"z", "a"}[version%2]) // one of the two denies, in every version
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		_ = d.Load(t.Context()) // while the files change, it may say so
		if _, err := store.Load(); err == nil {
			if got := fixture.Answer(store, fixture.LocalPart+"@acme.com"); got != "DENY Denied" {
				t.Fatalf("half of one version and half of another: %s", got)
			}
		}
	}
	if err := d.Load(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestScopesBoundTheRulesOfADirectory(t *testing.T) {
	f := openDirectory(t, "policy.yaml",
		policyFile("p, namespace: team-a", "\n  appliesTo: {sources: [rul2, rul1]}"+allowAcme))
	f.scopes = policyobject.Scopes{"team-a": {"rul1"}, "taem-b": {"rul1"}}
	f.publisher = publish.New(publish.Options{Bound: f.scopes.Bound, Store: f.store, Logger: f.logger})
	f.load(t)
	for source, want := range map[string]string{"rul1": "ALLOW Allowed", "rul2": "DENY NoPolicyApplies"} {
		if got := fixture.AnswerTo(f.store, fixture.SignUp("jo@acme.com", source)); got != want {
			t.Errorf("a call of %s: %s, want %s", source, got, want)
		}
	}
	for _, want := range []string{
		"policy.yaml:5 path=spec.appliesTo.sources[0]", "team-a decide calls of rul1 only (--namespace-sources)",
		`"Bounded namespace has no policy: is it misspelt?" namespace=taem-b`,
	} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, f.log)
		}
	}
}
