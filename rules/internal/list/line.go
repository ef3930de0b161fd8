package list

import (
	"bytes"
	"iter"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/pattern"
	"registrationpolicy.dev/operator/rules/internal/suffix"
)

// kinds say, as bits, what an entry of a list does in a policy that allows by the list and in one that denies by it,
// and how the entry was written.
type kinds uint8

const (
	allowSelf       kinds = 1 << iota // allows the name itself, or the address
	allowBelow                        // allows the names below the name
	denySelf                          // denies the name itself, or the address
	denyBelow                         // denies the names below the name
	writtenPlain                      // the list has a line such as acme.com, or an address
	writtenWildcard                   // the list has a line such as *.acme.com

	allowKinds   = allowSelf | allowBelow
	denyKinds    = denySelf | denyBelow
	writtenKinds = writtenPlain | writtenWildcard
)

// line is one parsed line of a list.
type line struct {
	// keys are the names, or the keys of addresses, that the entry can mean: the result of pattern.Deny. It is empty if
	// the line is not an entry.
	keys []string
	// kinds say what the entry does by its first key. By the other keys it only denies: if an entry can mean several
	// names, only the first of them may be allowed.
	kinds kinds
	// allows: a policy that allows by the list can allow by this entry. Otherwise the entry can only deny.
	allows bool
	// suffix: the entry means a country or a sector of it, such as com.ar or *.com.ar: see suffix.IsRegistry.
	suffix bool
	// subAddresses: the entry is an address with its sub-addresses, such as jo+*@acme.com.
	subAddresses bool
}

// byteOrderMark is what some editors write at the start of a file. It is accepted at the start of every line: a list
// can be joined from several files, and the mark of a later file is then at the start of some line.
const byteOrderMark = "\ufeff"

// lines yields the lines of a text, without their newlines.
func lines(text []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(text) {
			if !yield(string(bytes.TrimSuffix(line, []byte("\n")))) {
				return
			}
		}
	}
}

// readLine parses one line. empty means that the line is blank or only a comment.
func readLine(text string) (_ line, empty bool) {
	text = trimLine(text)
	switch {
	case text == "":
		return line{}, true
	case text == "*":
		return line{}, false
	case strings.Contains(text, "@"):
		return readAddress(text), false
	default:
		return readName(text), false
	}
}

// readName parses a domain or a wildcard, as the entries of a policy are parsed.
func readName(text string) line {
	patterns, _ := pattern.Deny(text)
	if len(patterns) == 0 {
		return line{}
	}
	entry := line{keys: make([]string, 0, len(patterns))}
	_, below := pattern.CutWildcard(text)
	if below {
		entry.kinds = denyBelow | writtenWildcard
	} else {
		entry.kinds = denySelf | denyBelow | writtenPlain
	}
	for _, p := range patterns {
		entry.keys = append(entry.keys, p.Name)
		entry.suffix = entry.suffix || suffix.IsRegistry(p.Name)
	}
	// Only the first key may allow. If pattern.Allow reads the entry as another name, the entry can only deny.
	if allowed, rejection := pattern.Allow(text, false); rejection == "" && allowed.Name == entry.keys[0] {
		entry.allows = true
		if below {
			entry.kinds |= allowBelow
		} else {
			entry.kinds |= allowSelf
		}
	}
	return entry
}

// readAddress parses a whole address, as the entries of a policy are parsed.
func readAddress(text string) line {
	keys, _ := pattern.DenyAddress(text)
	if len(keys) == 0 {
		return line{}
	}
	local, _, _ := strings.Cut(text, "@")
	entry := line{keys: keys, kinds: denySelf | writtenPlain, subAddresses: strings.HasSuffix(local, address.SubAddresses)}
	if key, rejection := pattern.AllowAddress(text); rejection == "" && key == keys[0] {
		entry.allows = true
		entry.kinds |= allowSelf
	}
	return entry
}
