package fences

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module is the path of the operator's own module.
const module = "registrationpolicy.dev/operator"

// fence says what packages must not import. Paths stand for themselves and all below them.
type fence struct {
	// room is the folder whose packages the fence stands around, itself included.
	room string
	// except are folders in the room that the fence leaves out: programs that generate its files.
	except []string
	// mustNotReach may not be imported by any chain of imports.
	mustNotReach []string
	// notThrough are packages whose own imports are not looked at, each with its reason beside it.
	notThrough []string
	// mustNotImport may not be imported by the room itself; what it imports may.
	mustNotImport []string
	// mayImport, if given, is all that the room itself imports beside the standard library.
	mayImport []string
	// because is the reason, for whoever runs into the fence.
	because string
}

var fences = []fence{
	{
		room:   "rules",
		except: []string{"rules/internal"},
		mustNotReach: []string{
			"k8s.io", "sigs.k8s.io", "net/http", "log", "github.com/go-logr", "github.com/prometheus",
			module + "/api", module + "/controllers", module + "/hookserver",
		},
		// It imports net/http/cookiejar for one interface type, and starts nothing of it.
		notThrough: []string{"golang.org/x/net/publicsuffix"},
		because:    "rules is the pure core: a decision depends on the snapshot and the call alone",
	},
	{
		room: "hookserver",
		mustNotReach: []string{
			"k8s.io/client-go", "k8s.io/api", "sigs.k8s.io/controller-runtime",
			module + "/api", module + "/controllers", module + "/config",
		},
		because: "the server and the controllers meet only in *rules.Store",
	},
	{
		room:         "hookserver/okta",
		mustNotReach: []string{module + "/rules", "k8s.io", "sigs.k8s.io"},
		because:      "okta is the hook's wire format alone; hookserver joins it with rules",
	},
	{
		room:         "hookserver/oauth",
		mustNotReach: []string{module + "/rules", module + "/hookserver/okta", "github.com/prometheus", "k8s.io", "sigs.k8s.io"},
		because:      "oauth knows tokens and their issuer; what a caller may then do is none of its business",
	},
	{
		room:          "controllers",
		mustNotReach:  []string{module + "/hookserver"},
		mustNotImport: []string{"net/http"},
		because:       "controllers and server meet only in *rules.Store",
	},
	{
		room:         "internal/budget",
		mustNotReach: []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", module + "/controllers", module + "/hookserver", module + "/api"},
		because:      "what a namespace may take is counted from sizes alone",
	},
	{
		room:         "internal/election",
		mustNotReach: []string{module + "/hookserver", module + "/controllers", module + "/rules", module + "/api"},
		because:      "the election knows a lease, not what is done by who holds it",
	},
	{
		room: "internal/policyobject",
		mustNotReach: []string{
			module + "/hookserver", module + "/controllers", module + "/internal/publish", module + "/internal/freshness",
			"sigs.k8s.io/controller-runtime",
		},
		because: "a stored object is understood, or not, by itself",
	},
	{
		room:         "internal/policyfile",
		mustNotReach: []string{module + "/hookserver", module + "/controllers", module + "/internal/fleet", module + "/internal/freshness"},
		because:      "files are a source of policies without a cluster",
	},
	{
		room:         "internal/informers",
		mustNotReach: []string{module + "/hookserver", module + "/controllers", module + "/internal/fleet"},
		because:      "informers bring what is stored; what becomes of it is for others",
	},
	{
		room:         "internal/freshness",
		mustNotReach: []string{module + "/hookserver", module + "/controllers", module + "/rules", module + "/api"},
		because:      "freshness knows how current watches are, not what comes by them",
	},
	{
		room: "internal/objectlist",
		mustNotReach: []string{
			module + "/hookserver", module + "/controllers", module + "/rules", module + "/api", "k8s.io/client-go",
		},
		because: "it reads octets into objects; who asks for them, and what they mean, is for others",
	},
	{
		room:         "internal/publish",
		mustNotReach: []string{module + "/hookserver", module + "/controllers", module + "/api", module + "/internal/fleet"},
		because:      "publishing knows compiled policies and lists, not where they are read or who is told",
	},
	{
		room:         "internal/storedsnapshot",
		mustNotReach: []string{module + "/hookserver", module + "/controllers", module + "/api", module + "/internal/fleet"},
		because:      "the stored snapshot knows compiled policies and lists, not the objects that they were made of",
	},
	{
		room:         "internal/fleet",
		mustNotReach: []string{module + "/hookserver", module + "/controllers", module + "/rules"},
		because:      "the fleet knows what replicas report, not how rules are built",
	},
	{
		room:         "internal/listsync",
		mustNotReach: []string{module + "/hookserver", module + "/controllers"},
		because:      "whoever writes lists decides nobody's sign-up: it knows rules, the API, and the format of a list",
	},
	{
		room:         "api/v1alpha1",
		mustNotReach: []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", module + "/rules"},
		mayImport:    []string{"k8s.io/apimachinery"},
		because:      "whoever imports the API gets its types, and no client with them",
	},
	{
		room:          ".",
		mustNotImport: []string{module + "/cmd"},
		because:       "mains are thin, and nobody imports them",
	},
}

// goPackage is what `go list -json` tells of a package.
type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestNoRoomImportsWhatItMustNot(t *testing.T) {
	packages := listPackages(t)
	for _, fence := range fences {
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
		if within(f.mustNotImport, imported) {
			t.Errorf("%s imports %s: %s", from, imported, f.because)
		}
		if f.mayImport != nil && !packages[imported].Standard && !within(f.mayImport, imported) {
			t.Errorf("%s imports %s, and may import only %s: %s",
				from, imported, strings.Join(f.mayImport, ", "), f.because)
		}
	}
	for _, chain := range chains(packages, from, slices.Concat(f.mustNotReach, f.notThrough)) {
		if reached := chain[len(chain)-1]; within(f.mustNotReach, reached) {
			t.Errorf("%s reaches %s: %s\n  by %s", from, reached, f.because, strings.Join(chain, " -> "))
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
