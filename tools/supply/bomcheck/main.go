// Command bomcheck holds a bill of materials against the program that it is of.
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

// allowed are the licences that we may ship: those that ask for no more than their text and notice. What the tool takes for
// BSD-Source-Code is that of golang.org/x, which is BSD-3-Clause.
var allowed = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-Source-Code", "ISC", "MIT"}

// bom is what this program reads of CycloneDX 1.6.
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

// check returns what is wrong with a bill of materials, and how many modules it names.
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

// compare returns what a bill of materials says of other modules than those linked, and licences that we may not ship.
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
