package rules

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
)

// index finds the rules of all policies by their keys. It is immutable: edited returns a new index, which shares the
// unchanged shards with the old one.
//
// A shard holds the postings whose hashes begin with the same bits, in the order of Snapshot.comparePostings: the
// postings of one key follow each other, sorted by scope. The keys stay in the rule blocks of the policies, so that a
// posting has 16 bytes and no pointer for the garbage collector to follow.
type index struct {
	shards [][]posting // a power of two of them
	shift  uint8       // hash >> shift is the index of the shard for a hash
	count  int         // how many postings the shards have together
}

// shardSize is how many postings a shard should have. The average is at most twice as many, so that an edit, which
// copies the shards that it changes, copies little.
const shardSize = 64

// posting is one rule of a policy in an index.
type posting struct {
	hash   uint32 // the hash of the rule's key: see keyHash
	offset uint32 // the position in Compiled.rules at which ruleBlock.keyAt finds the key
	ruleRef
}

// ruleRef refers to a rule of a policy.
type ruleRef struct {
	slot   uint32 // the slot of the policy: see Snapshot.slots
	packed uint32 // the index of the rule's entry in its field, and in the low byte the rule's traits
}

func newRuleRef(slot uint32, index int, t traits) ruleRef {
	return ruleRef{slot, uint32(index)<<8 | uint32(t)} //nolint:gosec // at most maxEntryIndex, 24 bits
}

func (r ruleRef) traits() traits { return traits(r.packed & 0xff) }
func (r ruleRef) index() uint32  { return r.packed >> 8 }

// keyHash returns the hash of a key.
func keyHash(seed maphash.Seed, key []byte) uint32 { return uint32(maphash.Bytes(seed, key) >> 32) }

// nameHash is keyHash for a key in a string.
func nameHash(seed maphash.Seed, name string) uint32 { return uint32(maphash.String(seed, name) >> 32) }

// find returns the postings of a key, sorted by scope. The caller passes the hash of the key.
func find[Key string | []byte](s *Snapshot, hash uint32, key Key) []posting {
	x := &s.index
	if x.count == 0 {
		return nil
	}
	shard := x.shards[hash>>x.shift]
	found := shard[lowerBound(shard, hash, x.shift):]
	if len(found) == 0 || found[0].hash != hash {
		return nil
	}
	if len(found) > 1 && found[1].hash == hash {
		found = found[:countBefore(len(found), func(i int) bool { return found[i].hash == hash })]
	} else {
		found = found[:1]
	}
	differs := func(i int) bool { return string(s.keyOf(&found[i])) != string(key) }
	for len(found) > 0 && differs(0) { // another key with the same hash, which is rare
		found = found[1:]
	}
	for len(found) > 1 && differs(len(found)-1) {
		found = found[:len(found)-1]
	}
	return found
}

// lowerBound returns the position of the first posting whose hash is not less than hash. Since hashes are spread
// evenly, it first tries the positions near the interpolated one. If many postings have one key, the right position may
// be farther away: lowerBound then does a binary search.
func lowerBound(shard []posting, hash uint32, shift uint8) int {
	const near = 16
	at := int(uint64(hash<<(32-shift)) * uint64(len(shard)) >> 32)
	for range near {
		switch {
		case at < len(shard) && shard[at].hash < hash:
			at++
		case at > 0 && shard[at-1].hash >= hash:
			at--
		default:
			return at
		}
	}
	at, _ = slices.BinarySearchFunc(shard, hash, func(p posting, hash uint32) int { return cmp.Compare(p.hash, hash) })
	return at
}

// keyOf returns the key of a posting.
func (s *Snapshot) keyOf(p *posting) []byte {
	return s.policies[s.policyAt[p.slot]].rules.keyAt(p.offset)
}

// slottedPolicy is a policy with its slot, the number by which postings refer to the policy.
type slottedPolicy struct {
	slot   uint32
	policy *Compiled
}

// edited returns the index without the rules of the removed policies, and with those of the added ones. s is the
// snapshot that the result will be part of; it contains all policies except the removed ones.
func (x *index) edited(s *Snapshot, removed, added []slottedPolicy) index {
	newPostings := postingsOf(s, added)
	count := x.count + len(newPostings)
	for i := range removed {
		count -= removed[i].policy.ruleCount
	}
	if count == 0 {
		return index{}
	}
	e := x.resharded(count)
	changed := make([]bool, len(e.shards))
	slots := make(map[uint32]bool, len(removed))
	for i := range removed {
		slots[removed[i].slot] = true
		for rule := range removed[i].policy.rules.all {
			changed[keyHash(s.seed, rule.key)>>e.shift] = true
		}
	}
	for i := range e.shards {
		n := 0
		for n < len(newPostings) && newPostings[n].hash>>e.shift == uint32(i) {
			n++
		}
		if n > 0 || changed[i] {
			e.shards[i] = s.mergedShard(e.shards[i], newPostings[:n], slots)
		}
		newPostings = newPostings[n:]
	}
	e.count = count
	return e
}

// postingsOf returns the postings of policies, sorted.
func postingsOf(s *Snapshot, policies []slottedPolicy) []posting {
	count := 0
	for i := range policies {
		count += policies[i].policy.ruleCount
	}
	if count == 0 {
		return nil
	}
	postings := make([]posting, 0, count)
	for i := range policies {
		for rule := range policies[i].policy.rules.all {
			ref := newRuleRef(policies[i].slot, rule.index, rule.traits)
			postings = append(postings, posting{keyHash(s.seed, rule.key), rule.offset, ref})
		}
	}
	slices.SortFunc(postings, s.comparePostings)
	return postings
}

// comparePostings orders postings by hash and key, then by scope, then by slot.
func (s *Snapshot) comparePostings(a, b posting) int {
	if c := cmp.Compare(a.hash, b.hash); c != 0 {
		return c
	}
	return cmp.Or(bytes.Compare(s.keyOf(&a), s.keyOf(&b)), cmp.Compare(s.scopeAt[a.slot], s.scopeAt[b.slot]),
		cmp.Compare(a.slot, b.slot), cmp.Compare(a.offset, b.offset))
}

// resharded returns an index of the same postings with as many shards as count postings need. The result has its own
// slice of shards, which the caller may change. Splitting a shard copies no postings.
func (x *index) resharded(count int) index {
	e := index{shards: slices.Clone(x.shards), shift: x.shift}
	if len(e.shards) == 0 {
		e.shards, e.shift = make([][]posting, 1), 32
	}
	for count > 2*shardSize*len(e.shards) {
		e.shift--
		halves := make([][]posting, 0, 2*len(e.shards))
		for i, shard := range e.shards {
			second := uint32(2*i + 1)
			middle, _ := slices.BinarySearchFunc(shard, second, func(p posting, half uint32) int {
				return cmp.Compare(p.hash>>e.shift, half)
			})
			halves = append(halves, shard[:middle:middle], shard[middle:])
		}
		e.shards = halves
	}
	for len(e.shards) > 1 && count*8 < shardSize*len(e.shards) {
		e.shift++
		whole := make([][]posting, 0, len(e.shards)/2)
		for pair := range slices.Chunk(e.shards, 2) {
			whole = append(whole, slices.Concat(pair...))
		}
		e.shards = whole
	}
	return e
}

// mergedShard returns the postings of old and added without those of the removed policies, which are given by their
// slots. All three are sorted.
func (s *Snapshot) mergedShard(old, added []posting, removed map[uint32]bool) []posting {
	kept := 0
	for i := range old {
		if !removed[old[i].slot] {
			kept++
		}
	}
	if kept+len(added) == 0 {
		return nil
	}
	merged := make([]posting, 0, kept+len(added))
	for len(merged) < cap(merged) {
		for len(old) > 0 && removed[old[0].slot] {
			old = old[1:]
		}
		if len(added) == 0 || len(old) > 0 && s.comparePostings(old[0], added[0]) < 0 {
			merged, old = append(merged, old[0]), old[1:]
		} else {
			merged, added = append(merged, added[0]), added[1:]
		}
	}
	return merged
}
