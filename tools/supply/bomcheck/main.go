// Command bomcheck compares a software bill of materials (SBOM, in CycloneDX) with the modules that are linked into the
// program, and checks the modules' licences.
//
//	bomcheck PROGRAM BOM.json
package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// allowed are the licences of modules that we may ship: they require only that their text and notices are included.
// cyclonedx-gomod reports the BSD-3-Clause licence of golang.org/x as BSD-Source-Code.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-Source-Code", "ISC", "MIT"}

// bom has the fields of CycloneDX 1.6 that this program reads.
type bom struct {
	Components []struct {
		Name     string
		Version  string
		Evidence struct {
			Licenses []struct{ License struct{ ID, Name string } }
		}
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bomcheck PROGRAM BOM.json")
		os.Exit(2)
	}
	faults, components, err := check(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bomcheck:", err)
		os.Exit(2)
	}
	for _, fault := range faults {
		fmt.Fprintln(os.Stderr, "bomcheck:", fault)
	}
	if len(faults) > 0 {
		os.Exit(1)
	}
	fmt.Printf("%s: %d modules, each with a licence that we may ship\n", os.Args[2], components)
}

// check returns the faults of a bill of materials, and the number of modules in it.
func check(program, file string) (faults []string, components int, _ error) {
	built, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, 0, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, 0, err
	}
	var named bom
	if err := json.Unmarshal(text, &named); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", file, err)
	}
	linked := map[string]bool{}
	for _, module := range built.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		linked[module.Path+" "+module.Version] = true
	}
	return compare(linked, named), len(named.Components), nil
}

// compare returns a line for each module that is only in the bill of materials or only linked, and for each licence
// that is missing or not allowed.
func compare(linked map[string]bool, named bom) (faults []string) {
	for _, component := range named.Components {
		module := component.Name + " " + component.Version
		if !linked[module] {
			faults = append(faults, module+": named, and not linked")
		}
		delete(linked, module)
		licences := component.Evidence.Licenses
		if len(licences) == 0 {
			faults = append(faults, module+": no licence found")
		}
		for _, licence := range licences {
			if !slices.Contains(allowed, licence.License.ID) {
				faults = append(faults, fmt.Sprintf("%s: licence %q is not one that we ship", module, licence.License.ID+licence.License.Name))
			}
		}
	}
	for _, module := range slices.Sorted(maps.Keys(linked)) {
		faults = append(faults, module+": linked, and not named")
	}
	return faults
}
