package rules

import "encoding/binary"

// traits say, in one byte, which field of the policy a rule's entry is in, and what the rule's key matches.
type traits uint8

const (
	fieldTraits  traits = 1<<3 - 1 // the bits of the EntryField
	matchesSelf  traits = 1 << 3   // the domain itself, or the address
	matchesBelow traits = 1 << 4   // the names below the domain
	matchesAny   traits = 1 << 5   // the entry is "*"
)

// maxPolicyRules bounds the rules of one policy in bytes, and maxEntryIndex the index of an entry. Both are far above
// the limits of the API. A policy file may exceed them; its author is told to move the entries to a list.
const (
	maxPolicyRules = 64 << 20
	maxEntryIndex  = 1<<24 - 1
)

func (t traits) field() EntryField { return EntryField(t & fieldTraits) }

func (t traits) precedence() precedence {
	switch t.field() {
	case DenyAddresses:
		return precedenceDenyAddress
	case AllowAddresses:
		return precedenceAllowAddress
	case DenyDomains:
		return precedenceDenyDomain
	case DenyLists:
		return precedenceDenyList
	case AllowLists:
		return precedenceAllowList
	default: // AllowDomains, AllowPublicSuffixes
		if t&matchesAny != 0 {
			return precedenceAllowAny
		}
		return precedenceAllowDomain
	}
}

// ruleBlock holds the rules of one policy, encoded one after the other in the order of the entries. A rule is one
// domain or address that an entry can mean: see [Reading]. A block takes a fraction of the memory of a struct and a
// string for each rule.
//
// A rule is encoded as its traits, the index of its entry minus that of the previous rule as a varint, the length of
// its key, and the key. For the first rule of a field, the previous index is -1. A difference of 0 means that the entry
// is the same as that of the previous rule.
type ruleBlock []byte

// blockRule is one rule of a ruleBlock, decoded.
type blockRule struct {
	traits traits
	index  int
	key    []byte
	offset uint32 // the position in the block at which ruleBlock.keyAt finds the key
}

func (r *blockRule) entry() Entry { return Entry{r.traits.field(), r.index} }

// blockWriter appends rules to a block.
type blockWriter struct {
	block ruleBlock
	rules int
	last  Entry
}

// add appends a rule. If the block or the index is too large, it returns false and appends nothing.
func (w *blockWriter) add(entry Entry, key string, t traits) bool {
	if entry.Index > maxEntryIndex || len(w.block) > maxPolicyRules {
		return false
	}
	if w.last.Field != entry.Field {
		w.last = Entry{entry.Field, -1}
	}
	w.block = append(w.block, byte(t|traits(entry.Field)))
	w.block = binary.AppendUvarint(w.block, uint64(entry.Index-w.last.Index)) //nolint:gosec // entries come in order: not negative
	w.block = append(w.block, byte(len(key)))                                 //nolint:gosec // below 256: address.MaxLength bounds it
	w.block = append(w.block, key...)
	w.last = entry
	w.rules++
	return true
}

// all yields the rules, in order.
func (b ruleBlock) all(yield func(blockRule) bool) {
	var last Entry
	for at := 0; at < len(b); {
		t := traits(b[at])
		distance, n := binary.Uvarint(b[at+1:])
		at += 1 + n
		if last.Field != t.field() {
			last = Entry{t.field(), -1}
		}
		last.Index += int(distance) //nolint:gosec // at most maxEntryIndex, 24 bits
		key := b.keyAt(uint32(at))  //nolint:gosec // a block has at most maxPolicyRules bytes
		//nolint:gosec // at, as above
		if !yield(blockRule{traits: t, index: last.Index, key: key, offset: uint32(at)}) {
			return
		}
		at += 1 + len(key)
	}
}

// keyAt returns the key whose length is at an offset: see blockRule.
func (b ruleBlock) keyAt(offset uint32) []byte {
	key := b[offset+1:]
	return key[:b[offset]:b[offset]]
}
