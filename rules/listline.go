package rules

import (
	"bytes"
	"iter"
	"strings"
)

// listKinds say what an entry of a list does, and how it was written.
type listKinds uint8

const (
	allowSelf  listKinds = 1 << iota // the name itself, or the address, is allowed
	allowBelow                       // what is below the name is allowed
	denySelf
	denyBelow
	writtenPlain    // acme.com, or an address
	writtenWildcard // *.acme.com

	allowKinds   = allowSelf | allowBelow
	denyKinds    = denySelf | denyBelow
	writtenKinds = writtenPlain | writtenWildcard
)

// listKinds returns which verdicts of a list count on a rung of lists.
func (r rung) listKinds() listKinds {
	if r.denies() {
		return denyKinds
	}
	return allowKinds
}

// listEntry is one line of a list.
type listEntry struct {
	// keys are the names, or keys of addresses, that the entry can be read as: the canonical one first. None: it is no entry.
	keys []string
	// kinds are those of the first key; the others only deny.
	kinds listKinds
	// allows says that the entry can also allow.
	allows bool
	// suffix says that it is the suffix of a registry, or all that is below one.
	suffix bool
	// subAddresses says that it is an address with its sub-addresses.
	subAddresses bool
}

// byteOrderMark is what some editors begin a file with. It is tolerated at the start of every line, so that a list means
// the same in one text and in several.
const byteOrderMark = "\ufeff"

// linesOf returns how many lines a text has at most.
func linesOf(text []byte) int { return bytes.Count(text, []byte("\n")) + 1 }

// listLines yields the lines of a text, without their ends.
func listLines(text []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(text) {
			if !yield(string(bytes.TrimSuffix(line, []byte("\n")))) {
				return
			}
		}
	}
}

// readListLine reads one line. empty says that there is nothing on it but perhaps a comment.
func readListLine(line string) (_ listEntry, empty bool) {
	const blanks = " \t\r"
	line = strings.Trim(strings.TrimPrefix(line, byteOrderMark), blanks)
	for from := 0; ; {
		at := strings.IndexByte(line[from:], '#')
		if at < 0 {
			break
		}
		if at += from; at == 0 || strings.IndexByte(blanks, line[at-1]) >= 0 {
			line = strings.TrimRight(line[:at], blanks)
			break
		}
		from = at + 1 // a local part may have it
	}
	switch {
	case line == "":
		return listEntry{}, true
	case line == "*":
		return listEntry{}, false
	case strings.Contains(line, "@"):
		return readListAddress(line), false
	default:
		return readListName(line), false
	}
}

// readListName reads a domain or a wildcard as entries by hand are read: see compileAllow and compileDeny.
func readListName(line string) listEntry {
	patterns, _ := compileDeny(line)
	if len(patterns) == 0 {
		return listEntry{}
	}
	entry := listEntry{keys: make([]string, 0, len(patterns))}
	_, below := wildcard(line)
	if below {
		entry.kinds = denyBelow | writtenWildcard
	} else {
		entry.kinds = denySelf | denyBelow | writtenPlain
	}
	for _, pattern := range patterns {
		entry.keys = append(entry.keys, pattern.name)
		entry.suffix = entry.suffix || isRegistrySuffix(pattern.name)
	}
	// What allows has one reading, and it is the first.
	if allowed, refusal := compileAllow(line, false); refusal == "" && allowed.name == entry.keys[0] {
		entry.allows = true
		if below {
			entry.kinds |= allowBelow
		} else {
			entry.kinds |= allowSelf
		}
	}
	return entry
}

// readListAddress reads a whole address: see compileAddress and compileDenyAddress.
func readListAddress(line string) listEntry {
	keys, _ := compileDenyAddress(line)
	if len(keys) == 0 {
		return listEntry{}
	}
	local, _, _ := strings.Cut(line, "@")
	entry := listEntry{keys: keys, kinds: denySelf | writtenPlain, subAddresses: strings.HasSuffix(local, subAddresses)}
	if key, refusal := compileAddress(line); refusal == "" && key == keys[0] {
		entry.allows = true
		entry.kinds |= allowSelf
	}
	return entry
}

// parentOf returns the name without its first label, "" for a name of one label.
func parentOf(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return parent
}
