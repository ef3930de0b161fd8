package diff

import (
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/outcome"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/rules/analysis"
)

// difference holds the changes between two sets of policies, and what their report needs.
type difference struct {
	before, after          *policysource.Set
	changes                []analysis.Change
	notCompared            []string // lists that policies name and that no file has
	showAddresses, verbose bool
}

// The report is the output of -o json and -o yaml, a part of the interface that docs/reference/regpol-diff.md describes.
// Empty members are left out.
type (
	diffReport struct {
		// Counts holds how many changes of each kind there are.
		Counts  map[string]int `json:"counts"`
		Changes []changeReport `json:"changes"`
		// NotCompared are lists that policies name and that no file has. Calls that depend on them may change, too.
		NotCompared []string `json:"notCompared,omitempty"`
		verbose     bool
	}

	changeReport struct {
		Kind   string          `json:"kind"` // Widened, Narrowed, OtherText, OtherProfile
		Before outcome.Result  `json:"before"`
		After  outcome.Result  `json:"after"`
		Calls  []outcome.Calls `json:"calls"`
		// Addresses is a set of addresses: the answer to a call with only one of them changes. Each part adds addresses
		// to the set or, if Except is set, takes some away. Later parts override earlier ones.
		Addresses []partReport `json:"addresses,omitempty"`
		More      int          `json:"moreAddresses,omitempty"` // the number of parts that Addresses lacks, because they are too many
		Example   []string     `json:"example"`                 // one address, or two of the same call
	}

	partReport struct {
		Except  bool     `json:"except,omitempty"`
		Entries []string `json:"entries"` // as in spec.allow: acme.com is only the domain, *.acme.com only the names below it
		// depth is how many other parts of the same Addresses contain this part: see depthsOf. The text report prints
		// the parts by depth.
		depth int
	}
)

// kindNames are the names of the kinds of changes in the JSON report.
var kindNames = map[analysis.Kind]string{
	analysis.Widened: "Widened", analysis.Narrowed: "Narrowed", analysis.OtherText: "OtherText", analysis.OtherProfile: "OtherProfile",
}

func (d *difference) report() *diffReport {
	r := &diffReport{Counts: map[string]int{}, Changes: []changeReport{}, NotCompared: d.notCompared, verbose: d.verbose}
	for _, name := range kindNames {
		r.Counts[name] = 0
	}
	for i := range d.changes {
		c := &d.changes[i]
		r.Counts[kindNames[c.Kind]]++
		change := changeReport{
			Kind: kindNames[c.Kind], Before: outcome.ResultOf(d.before, &c.Was, d.showAddresses),
			After: outcome.ResultOf(d.after, &c.Now, d.showAddresses),
			Calls: outcome.CallsOf(c.Calls), More: c.Region.More,
		}
		depths := depthsOf(c.Region.Parts)
		for j, part := range c.Region.Parts {
			change.Addresses = append(change.Addresses, partReport{part.Except, d.entriesOf(part), depths[j]})
		}
		for _, witness := range c.Witness {
			change.Example = append(change.Example, outcome.ExampleOf(witness, d.showAddresses))
		}
		r.Changes = append(r.Changes, change)
	}
	return r
}

// depthsOf returns for each part of an [analysis.Region], which is a set of addresses, how many other parts contain it.
// A part of depth 0 adds addresses to the set. A part of depth 1 is an exception from these, and one of depth 2 an
// exception from that.
func depthsOf(parts []analysis.Part) []int {
	depths := make([]int, len(parts))
	// around has the indexes of the parts for domains that contain part i, from the widest to the narrowest.
	var around []int
	// withSubAddresses has the depth of each part such as jo+*@acme.com, by this text. A part for jo@acme.com or
	// jo+x@acme.com is an exception from it, and so one level deeper.
	withSubAddresses := map[string]int{}
	for i, part := range parts {
		covers := func(name analysis.Part) bool {
			if part.Name == name.Name {
				return part.Local != "" && name.Self
			}
			return name.Below && (name.Name == "" || strings.HasSuffix(part.Name, "."+name.Name))
		}
		for len(around) > 0 && !covers(parts[around[len(around)-1]]) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			depths[i] = depths[around[len(around)-1]] + 1
		}
		base, _, _ := strings.Cut(part.Local, "+")
		key := base + outcome.SubAddresses + "@" + part.Name
		switch depth, found := withSubAddresses[key]; {
		case part.Local == "":
			around = append(around, i)
		case part.Local == base+outcome.SubAddresses:
			withSubAddresses[key] = depths[i]
		case found:
			depths[i] = depth + 1
		}
	}
	return depths
}

// entriesOf returns the addresses of one [analysis.Part] in the form of entries of spec.allow.
func (d *difference) entriesOf(part analysis.Part) []string {
	var entries []string
	switch {
	case part.Local != "" && d.showAddresses:
		return []string{part.Local + "@" + part.Name}
	case strings.HasSuffix(part.Local, outcome.SubAddresses):
		return []string{outcome.HiddenLocal + outcome.SubAddresses + "@" + part.Name}
	case part.Local != "":
		return []string{outcome.HiddenLocal + "@" + part.Name}
	case part.Name == "":
		return []string{"*"}
	}
	if part.Self {
		entries = append(entries, part.Name)
	}
	if part.Below {
		entries = append(entries, "*."+part.Name)
	}
	return entries
}
