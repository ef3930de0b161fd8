package fences

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module is the path of the operator's own module.
const module = "registrationpolicy.dev/operator"

// fence says what the packages of a room must not import. A path in it means that package or folder and everything
// below. room and keepsOut are from the table of rooms in CONTRIBUTING.md.
type fence struct {
	// room is the folder to whose packages, and those below, the fence applies.
	room string
	// except are folders in the room to which the fence does not apply.
	except []string
	// keepsOut are packages that the room must not import, directly or through other packages. Packages of the standard
	// library may be imported through others.
	keepsOut []string
	// mayImport, if not nil, are the only packages outside of the standard library that the room may import directly.
	mayImport []string
	// because is the reason, for the message of the test.
	because string
}

// reasons has for each room the reason why it keeps out some packages.
var reasons = map[string]string{
	"api/v1alpha1":            "a program that imports the API must get its types only, without a client",
	"rules":                   "a decision must depend on the snapshot and the call only",
	"rules/internal/address":  "parsing an address must not depend on lists, entries or warnings",
	"rules/internal/suffix":   "it must depend on nothing but the table of public suffixes",
	"rules/internal/pattern":  "an entry must mean the same in a policy and in a list",
	"rules/internal/list":     "a list decides calls; warnings are the concern of rules/lint",
	"hookserver":              "the server and the controllers meet only in *rules.Store",
	"hookserver/credentials":  "it compares values; hookserver decides what a caller may do",
	"hookserver/okta":         "okta is only the hook's wire format; hookserver connects it with rules",
	"hookserver/oauth":        "oauth only verifies tokens; hookserver decides what a caller may do",
	"controllers":             "controllers and server meet only in *rules.Store, and controllers use only the Kubernetes client",
	"internal/budget":         "a budget must depend on stored sizes only",
	"internal/cafile":         "reading certificates must not depend on what they are trusted for",
	"internal/build":          "a build reads and compiles policies; the controllers decide when to build and publish",
	"internal/dirwatch":       "it reports that files changed, whatever their content",
	"internal/election":       "the election must not depend on what the leader does",
	"internal/fleet":          "the leader compares the reports of replicas, without knowing how a replica or its rules work",
	"internal/freshness":      "freshness tracks how current a watch is, whatever objects it brings",
	"internal/gitrevision":    "it reads files, whatever they contain",
	"internal/hookcheck":      "it checks any hook, not only this operator's",
	"internal/informers":      "informers read stored objects; the controllers decide what to do with them",
	"internal/listconfigmap":  "it is only the format of a stored list; rules parses the entries",
	"internal/listguard":      "a check of new content must not depend on where a list is stored",
	"internal/listmemory":     "it estimates from its input, and reads and writes nothing",
	"internal/listsource":     "it fetches text; other packages parse the entries",
	"internal/listsync":       "writing lists needs only rules, the API and the format of a list",
	"internal/loglevel":       "every package may log, so it must depend on none",
	"internal/liststream":     "it only decodes objects from a stream; callers make the request and use the objects",
	"internal/neterror":       "it words any network error, whatever was requested",
	"internal/oktasim":        "it calls any hook, not only this operator's",
	"internal/optionerror":    "libraries use it, and they must not depend on flags",
	"internal/pastcalls":      "past calls are read without knowing how they would be decided",
	"internal/policyfile":     "policies in files must work without a cluster",
	"internal/policyobject":   "whether an object is understood must depend on the object only",
	"internal/policylint":     "findings must depend on the policies only",
	"internal/policystatus":   "a status is computed; the controllers decide when to write it",
	"internal/policytest":     "whether a test file is valid must depend on the file only",
	"internal/publish":        "publishing must not depend on where policies are read from, or on who is notified",
	"internal/snapshotfile":   "whether a file is valid must depend on its bytes only",
	"internal/replica":        "a replica reports the versions that its rules have reached, without knowing how rules are built",
	"internal/replicalease":   "the format of a report must not depend on its writer or reader",
	"internal/storedsnapshot": "the stored snapshot has compiled policies and lists; it must not depend on the API's objects",
	"internal/usage":          "it must not depend on the commands whose usage errors it words",
	"internal/violation":      "a violation must be worded alike, wherever the object was read from",
	"internal/version":        "every package may ask for the version, so it must depend on none",
	"internal/yamldoc":        "it finds lines and values in YAML, whatever they mean",
	"cmd/operator":            "programs that are installed must not contain code for tests",
	"cmd/regpol":              "programs that are installed must not contain code for tests",

	"cmd/regpol/internal/cluster":      "it selects a cluster, whatever is read there",
	"cmd/regpol/internal/console":      "it runs and prints for every verb, so it must depend on none of their subjects",
	"cmd/regpol/internal/explanation":  "a decision is explained from policies and a call only",
	"cmd/regpol/internal/input":        "it reads files, whatever they contain",
	"cmd/regpol/internal/junit":        "it is only the format of a report",
	"cmd/regpol/internal/outcome":      "it reports what an analysis found, whatever was analysed",
	"cmd/regpol/internal/pastdecision": "past calls are decided by policies only",
	"cmd/regpol/internal/policysource": "policies are read as the operator reads them, without its controllers",
	"cmd/regpol/internal/progress":     "it shows progress, whatever takes long",
	"cmd/regpol/internal/registration": "a registration is described without knowing how it is decided",
}

// verbs are the rooms of the verbs of regpol.
var verbs = []string{
	"cmd/regpol/internal/call", "cmd/regpol/internal/diff", "cmd/regpol/internal/explain", "cmd/regpol/internal/lint",
	"cmd/regpol/internal/lists", "cmd/regpol/internal/replay", "cmd/regpol/internal/testrun",
}

// fences returns the fences of the table in CONTRIBUTING.md, and some that the table cannot express.
func fences(t *testing.T) []fence {
	t.Helper()
	all := []fence{
		{
			room: "rules", except: []string{"rules/internal/gen"},
			mayImport: []string{
				module + "/rules", "golang.org/x/net/idna", "golang.org/x/net/publicsuffix", "golang.org/x/text/unicode",
			},
			because: reasons["rules"],
		},
		{
			room: ".", except: []string{"test"}, keepsOut: []string{module + "/test"},
			because: "what is shipped is made of nothing that is there for tests",
		},
		{
			room: ".", except: []string{"cmd/regpol"}, keepsOut: []string{module + "/cmd"},
			because: "mains are thin, and nobody imports them",
		},
		{
			room: ".", except: []string{"cmd/regpol/internal/verbtest"}, keepsOut: []string{module + "/cmd/regpol/internal/verbtest"},
			because: "what is shipped is made of nothing that is there for tests",
		},
	}
	all = append(all, fence{
		room: "cmd/operator", keepsOut: []string{"github.com/schollz"}, because: "a server shows no progress bar, and each module is a risk",
	})
	between := fence{room: "cmd/regpol/internal", because: "what two verbs share is in a room of its own"}
	for _, verb := range verbs {
		between.keepsOut = append(between.keepsOut, module+"/"+verb)
	}
	all = append(all, between)
	for _, row := range roomTable(t) {
		fence := fence{room: row.room, because: reasons[row.room]}
		if slices.Contains(verbs, row.room) {
			fence.because = "a verb works on files and on what an API server has, without the operator's controllers"
		}
		switch {
		case len(row.paths) == 0:
			continue
		case row.allBut:
			fence.mayImport = row.paths
		default:
			fence.keepsOut = row.paths
		}
		if row.room == "rules" {
			fence.except = []string{"rules/internal/gen"} // programs that generate its files
		}
		if fence.because == "" {
			t.Errorf("CONTRIBUTING.md: %s keeps something out, and reasons has no reason", row.room)
		}
		all = append(all, fence)
	}
	return all
}

// roomRow is a row of the table of rooms (packages) in CONTRIBUTING.md.
type roomRow struct {
	room   string
	paths  []string // the column "keeps out", as import paths
	allBut bool
}

var quoted = regexp.MustCompile("`([^`]+)`")

// roomTable reads the table of rooms. A row may be about several rooms.
func roomTable(t *testing.T) []roomRow {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| room | owns | keeps out |\n|---|---|---|\n")
	if !found {
		t.Fatal("CONTRIBUTING.md has no table of rooms")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var rows []roomRow
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 {
			t.Fatalf("CONTRIBUTING.md: %q has not three columns", line)
		}
		row := roomRow{allBut: strings.Contains(cells[3], "all but")}
		for _, path := range quoted.FindAllStringSubmatch(cells[3], -1) {
			top, _, _ := strings.Cut(path[1], "/")
			if info, err := os.Stat(filepath.Join(root, top)); err == nil && info.IsDir() {
				path[1] = module + "/" + path[1]
			}
			row.paths = append(row.paths, path[1])
		}
		for _, room := range quoted.FindAllStringSubmatch(cells[1], -1) {
			row.room = room[1]
			rows = append(rows, row)
		}
	}
	return rows
}

// goPackage has the fields of the output of `go list -json` that are used here.
type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestNoRoomImportsWhatItMustNot(t *testing.T) {
	packages := listPackages(t)
	for _, fence := range fences(t) {
		t.Run(fence.room, func(t *testing.T) {
			rooms := fence.packages(packages)
			if len(rooms) == 0 {
				t.Fatalf("%s holds no package: a fence around nothing keeps nothing out", fence.room)
			}
			for _, room := range rooms {
				fence.check(t, packages, room)
			}
		})
	}
}

// listPackages returns all packages of the module and all that they import without their tests, by import path.
func listPackages(t *testing.T) map[string]goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Standard", "./...")
	command.Dir = root
	var complaint strings.Builder
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaint.String())
	}
	packages := make(map[string]goPackage)
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var listed goPackage
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("read what go list wrote: %v", err)
		}
		packages[listed.ImportPath] = listed
	}
}

// packages returns the sorted import paths of the packages to which the fence applies.
func (f fence) packages(packages map[string]goPackage) []string {
	var inside []string
	for path := range packages {
		folder, ours := strings.CutPrefix(path, module+"/")
		left := slices.ContainsFunc(f.except, func(except string) bool { return covers(except, folder) })
		if ours && !left && (f.room == "." || covers(f.room, folder)) {
			inside = append(inside, path)
		}
	}
	slices.Sort(inside)
	return inside
}

func (f fence) check(t *testing.T, packages map[string]goPackage, from string) {
	t.Helper()
	for _, imported := range packages[from].Imports {
		if packages[imported].Standard && within(f.keepsOut, imported) {
			t.Errorf("%s imports %s: %s", from, imported, f.because)
		}
		if f.mayImport != nil && !packages[imported].Standard && !within(f.mayImport, imported) {
			t.Errorf("%s imports %s, and may import only %s: %s",
				from, imported, strings.Join(f.mayImport, ", "), f.because)
		}
	}
	for _, chain := range chains(packages, from, f.keepsOut) {
		if reached := chain[len(chain)-1]; !packages[reached].Standard && within(f.keepsOut, reached) {
			t.Errorf("%s reaches %s: %s\n  by %s", from, reached, f.because, strings.Join(chain, " -> "))
		}
	}
}

// Every package is in a room of the table, and every room of the table exists.
func TestEveryRoomHasItsRow(t *testing.T) {
	rows := roomTable(t)
	for path := range listPackages(t) {
		folder, ours := strings.CutPrefix(path, module+"/")
		if ours && !slices.ContainsFunc(rows, func(row roomRow) bool { return covers(row.room, folder) }) {
			t.Errorf("CONTRIBUTING.md has no row for %s", folder)
		}
	}
	for _, row := range rows {
		if _, err := os.Stat(filepath.Join(root, row.room)); err != nil {
			t.Errorf("CONTRIBUTING.md has a row for %s, which is not there", row.room)
		}
	}
	for room := range reasons {
		if !slices.ContainsFunc(rows, func(row roomRow) bool { return row.room == room }) {
			t.Errorf("reasons has %s, which has no row", room)
		}
	}
}

// chains returns for each package that from imports, directly or through others, the shortest chain of imports to it.
// Shorter chains come first. A chain ends at a package that is in or below one of ends.
func chains(packages map[string]goPackage, from string, ends []string) [][]string {
	seen := map[string]bool{from: true}
	found := [][]string{{from}}
	for next := 0; next < len(found); next++ {
		chain := found[next]
		last := chain[len(chain)-1]
		if within(ends, last) {
			continue
		}
		for _, imported := range packages[last].Imports {
			if !seen[imported] {
				seen[imported] = true
				found = append(found, append(slices.Clone(chain), imported))
			}
		}
	}
	return found[1:]
}

// within reports whether path is, or lies below, one of the paths.
func within(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(outer string) bool { return covers(outer, path) })
}

// covers reports whether path is outer or lies below it.
func covers(outer, path string) bool {
	return path == outer || strings.HasPrefix(path, outer+"/")
}

func TestAFenceFindsWhatIsBehindAnotherPackage(t *testing.T) {
	packages := map[string]goPackage{
		module + "/rules":         {Imports: []string{"example.com/harmless", "strings"}},
		"example.com/harmless":    {Imports: []string{"k8s.io/apimachinery/x"}},
		"k8s.io/apimachinery/x":   {Imports: []string{"behind/what/must/not/be/reached"}},
		module + "/rules/sub":     {},
		module + "/rulesbutother": {},
	}
	got := chains(packages, module+"/rules", []string{"k8s.io"})
	want := [][]string{
		{module + "/rules", "example.com/harmless"},
		{module + "/rules", "strings"},
		{module + "/rules", "example.com/harmless", "k8s.io/apimachinery/x"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chains from rules (-want +got):\n%s", diff)
	}
	inside := (fence{room: "rules"}).packages(packages)
	if diff := cmp.Diff([]string{module + "/rules", module + "/rules/sub"}, inside); diff != "" {
		t.Errorf("packages in rules (-want +got):\n%s", diff)
	}
	if !within([]string{"k8s.io"}, "k8s.io/apimachinery/x") || within([]string{"log"}, "logging/x") {
		t.Error("a path must cover itself and what is below it, and nothing that merely begins alike")
	}
}
