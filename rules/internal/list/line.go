package list

import (
	"bytes"
	"iter"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/pattern"
	"registrationpolicy.dev/operator/rules/internal/suffix"
)

// kinds say what an entry does, and how it was written.
type kinds uint8

const (
	allowSelf  kinds = 1 << iota // allows the name itself, or the address
	allowBelow                   // allows what is below the name
	denySelf
	denyBelow
	writtenPlain    // as acme.com, or an address
	writtenWildcard // as *.acme.com

	allowKinds   = allowSelf | allowBelow
	denyKinds    = denySelf | denyBelow
	writtenKinds = writtenPlain | writtenWildcard
)

// line is one parsed line of a list.
type line struct {
	// keys are the names, or keys of addresses, that the entry can be read as, the canonical one first. Without any,
	// the line is not an entry.
	keys []string
	// kinds are those of the first key; the other keys only deny.
	kinds kinds
	// allows: the entry can also allow.
	allows bool
	// suffix: the entry is the suffix of a registry, or everything below one.
	suffix bool
	// subAddresses: the entry is an address with its sub-addresses.
	subAddresses bool
}

// byteOrderMark is written by some editors at the start of a file. It is accepted at the start of every line, so that a
// list means the same in one text and in several.
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

// readLine parses one line. empty means that it holds at most a comment.
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
	// An entry that allows has one reading, which is the first.
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
