package listguard

import (
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
)

// maxReported is how many refusals of one kind are listed, and how many entries the text of a large change names. More
// would be too long to read.
const maxReported = 20

// Use says whether policies allow or deny by a list.
type Use string

// The uses of a list.
const (
	// Deny is the use of a list in spec.deny.lists.
	Deny Use = "deny"
	// Allow is the use of a list in spec.allow.lists.
	Allow Use = "allow"
)

// AllowedEntry is an entry of spec.allow of a policy: a domain, a wildcard or an address.
type AllowedEntry struct {
	// Entry is in canonical form, as rules.List.All yields it.
	Entry string
	// Policy is the namespace and name of the policy, with a slash between them.
	Policy string
	// Path is the path of the entry in the policy, such as spec.allow.domains[0].
	Path string
}

// Change is a change of a list's content.
type Change struct {
	// Use says whether policies allow or deny by the list.
	Use Use
	// Old is the content in force. It is nil if there is none, or it cannot be read.
	Old *rules.List
	// New is the new content, and NewText the text from which it was compiled.
	New     *rules.List
	NewText []byte
	// Allowed are the entries of policies that the new content must not deny.
	Allowed []AllowedEntry
	// MaxChange limits added and removed entries together, in percent of the entries in Old.
	MaxChange float64
}

// Refusals returns the reasons against a change. Effects that the old content has too are no reason: the guard or a
// person accepted them before.
func (c *Change) Refusals() []Refusal {
	if fault := c.New.Fault(); fault != "" {
		if isHTML(c.NewText) {
			fault = "it is an HTML page: give the URL of the text itself (on code hosts, of the raw file), and check that it needs no sign-in"
		}
		return []Refusal{{Kind: NotAList, Text: "this is not a list: " + fault}}
	}
	var all []Refusal
	if c.Use == Deny {
		all = append(all, truncated(c.deniesAllowedNames())...)
		all = append(all, truncated(c.deniesProviders())...)
		all = append(all, truncated(c.deniesBelowProviders())...)
		all = append(all, c.suffixes((*rules.List).Suffixes,
			" is a public suffix of a registry: all names of a country or sector below it would be denied")...)
	} else {
		all = append(all, c.suffixes((*rules.List).Unusable,
			" is, or covers, a public suffix: anybody can register names there, so the entry allows nothing")...)
		all = append(all, truncated(c.allowsProviders())...)
	}
	return append(all, c.changesTooMuch()...)
}

// truncated keeps the first maxReported refusals, and replaces the others by one refusal that counts them.
func truncated(found []Refusal) []Refusal {
	if more := len(found) - maxReported; more > 0 {
		found = append(found[:maxReported], Refusal{Kind: found[0].Kind, Text: fmt.Sprintf("and %d more of this kind", more)})
	}
	return found
}

// deniesAllowedNames finds the entries of Allowed that the new content would deny. Within one policy, such an entry
// takes precedence over a list. But another policy may name the list, and would then deny the call.
func (c *Change) deniesAllowedNames() []Refusal {
	var found []Refusal
	wildcards := map[string]AllowedEntry{} // by the name after "*."
	for _, allowed := range c.Allowed {
		name, wildcard := strings.CutPrefix(allowed.Entry, "*.")
		_, domain, isAddress := strings.Cut(allowed.Entry, "@")
		switch {
		case isAddress:
			if entry := c.newlyDenies(domain); entry != "" {
				found = append(found, allowedByNameRefusal(entry, "@"+domain, allowed))
			} else if c.newlyHas(allowed.Entry) {
				found = append(found, allowedByNameRefusal(allowed.Entry, "@"+domain, allowed))
			}
		case wildcard:
			if _, is := wildcards[name]; !is {
				wildcards[name] = allowed
			}
			if entry := c.newlyDeniesBelow(name); entry != "" {
				found = append(found, allowedByNameRefusal(entry, allowed.Entry, allowed))
			}
		default:
			if entry := c.newlyDenies(name); entry != "" {
				found = append(found, allowedByNameRefusal(entry, allowed.Entry, allowed))
			}
		}
	}
	// An entry below a wildcard, such as mail.acme.com below *.acme.com, denies a part of what the wildcard allows.
	var belowWildcards []Refusal
	for entry := range c.added() {
		name := strings.TrimPrefix(entry, "*.")
		if strings.Contains(name, "@") || len(wildcards) == 0 {
			continue
		}
		for parent := range parents(name) {
			if allowed, is := wildcards[parent]; is && !deniesName(c.Old, name) {
				belowWildcards = append(belowWildcards, allowedByNameRefusal(entry, allowed.Entry, allowed))
				break
			}
		}
	}
	slices.SortFunc(belowWildcards, func(a, b Refusal) int { return strings.Compare(a.Entry, b.Entry) })
	return append(found, belowWildcards...)
}

func allowedByNameRefusal(entry, affected string, allowed AllowedEntry) Refusal {
	shown := withoutLocalPart(entry)
	return Refusal{
		Kind: AllowedByName, Entry: shown, Affects: affected, Policy: allowed.Policy, Path: allowed.Path,
		Text: fmt.Sprintf("%s denies %s, which %s allows by name (%s)", shown, affected, allowed.Policy, allowed.Path),
	}
}

// suffixes returns refusals for the added entries that find selects. It compiles a list with one added entry per line
// and gives it to find, a method of rules.List. find returns how many lines it selects, and the first ten line numbers.
// Each of these ten entries gets a refusal, in which text follows the entry. One more refusal counts the rest.
//
// A public suffix in a list that allows has no effect. It is refused all the same: its author expects an effect, or the
// list was tampered with.
func (c *Change) suffixes(find func(*rules.List) (int, []int), text string) []Refusal {
	added := slices.Sorted(c.added())
	count, lines := find(rules.CompileList([]byte(strings.Join(added, "\n"))))
	var found []Refusal
	for _, line := range lines {
		entry := withoutLocalPart(added[line-1])
		found = append(found, Refusal{Kind: PublicSuffix, Entry: entry, Text: entry + text})
	}
	if more := count - len(lines); more > 0 {
		found = append(found, Refusal{Kind: PublicSuffix, Text: fmt.Sprintf("and %d more of this kind", more)})
	}
	return found
}
