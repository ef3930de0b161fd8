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

// fence says what packages must not import. Paths stand for themselves and all below them. All but the last are of the table of rooms in
// CONTRIBUTING.md, which is their one source.
type fence struct {
	// room is the folder whose packages the fence stands around, itself included.
	room string
	// except are folders in the room that the fence leaves out.
	except []string
	// keepsOut may not be imported: by any chain of imports, or, of the standard library, by the room itself.
	keepsOut []string
	// mayImport, if given, is all that the room itself imports beside the standard library.
	mayImport []string
	// because is the reason, for whoever runs into the fence.
	because string
}

// reasons are why rooms keep out what they keep out.
var reasons = map[string]string{
	"api/v1alpha1":            "whoever imports the API gets its types, and no client with them",
	"rules":                   "rules is the pure core: a decision depends on the snapshot and the call alone",
	"rules/internal/address":  "what an address is depends on no list, entry or warning",
	"rules/internal/suffix":   "it knows names alone",
	"rules/internal/pattern":  "an entry means the same in a policy and in a list",
	"rules/internal/list":     "a list decides, and warns of nothing",
	"hookserver":              "the server and the controllers meet only in *rules.Store",
	"hookserver/okta":         "okta is the hook's wire format alone; hookserver joins it with rules",
	"hookserver/oauth":        "oauth knows tokens and their issuer; what a caller may then do is none of its business",
	"controllers":             "controllers and server meet only in *rules.Store, and controllers speak to the API server by its client alone",
	"internal/budget":         "what a namespace may take is counted from sizes alone",
	"internal/dirwatch":       "it knows files, not what is in them",
	"internal/election":       "the election knows a lease, not what is done by who holds it",
	"internal/fleet":          "the fleet knows what replicas report, not how rules are built",
	"internal/freshness":      "freshness knows how current watches are, not what comes by them",
	"internal/hookcheck":      "it looks at any hook, ours or anybody's",
	"internal/informers":      "informers bring what is stored; what becomes of it is for others",
	"internal/listconfigmap":  "it knows how a list is stored, not what an entry means",
	"internal/listsync":       "whoever writes lists decides nobody's sign-up: it knows rules, the API, and the format of a list",
	"internal/loglevel":       "a level knows nothing",
	"internal/liststream":     "it reads bytes into objects; who asks for them, and what they mean, is for others",
	"internal/oktasim":        "it speaks to any hook, ours or anybody's",
	"internal/optionerror":    "libraries use it, and they know no flags",
	"internal/pastcalls":      "it reads what was asked and recorded; how it would be decided is for others",
	"internal/policyfile":     "files are a source of policies without a cluster",
	"internal/policyobject":   "a stored object is understood, or not, by itself",
	"internal/publish":        "publishing knows compiled policies and lists, not where they are read or who is told",
	"internal/storedsnapshot": "the stored snapshot knows compiled policies and lists, not the objects that they were made of",
	"internal/usage":          "it knows words, not what they command",
	"internal/version":        "a version knows nothing",
	"cmd/operator":            "what is shipped is made of nothing that is there for tests",
	"cmd/regpol":              "what is shipped is made of nothing that is there for tests",
}

// fences returns those of the table, and those that no row can say.
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
		{room: ".", keepsOut: []string{module + "/cmd"}, because: "mains are thin, and nobody imports them"},
	}
	for _, row := range roomTable(t) {
		fence := fence{room: row.room, because: reasons[row.room]}
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

// roomRow is a row of the table of rooms in CONTRIBUTING.md.
type roomRow struct {
	room   string
	paths  []string // in the column "keeps out", with the module where they are ours
	allBut bool
}

var quoted = regexp.MustCompile("`([^`]+)`")

// roomTable reads the table. A row may be of several rooms.
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

// goPackage is what `go list -json` tells of a package.
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

// packages returns the import paths of the packages that the fence stands around, sorted.
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

// Every package is in a room of the table, and every room of it is there.
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

// chains returns, for each package that from reaches, the shortest chain of imports to it, nearest first. Packages that one
// of ends covers are reached, but not passed through.
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

// within tells whether one of the paths covers path.
func within(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(outer string) bool { return covers(outer, path) })
}

// covers tells whether path is outer or lies below it.
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
