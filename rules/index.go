package rules

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
)

// index finds the rules of a scope by their keys. It is immutable: edited returns a new index, which shares the
// unchanged shards with the old one.
//
// A shard holds the postings whose hashes begin with the same bits, sorted by hash. The keys stay in the rule blocks of
// the policies, so that a posting has 16 bytes and no pointer for the garbage collector to follow.
type index struct {
	shards [][]posting // their number is a power of two
	shift  uint8       // hash >> shift is the number of a shard
	count  int         // of postings
}

// shardSize is how many postings a shard should have. The average is at most twice as many, so that an edit, which
// copies the shards that it changes, copies little.
const shardSize = 64

// posting is one rule of a policy in an index.
type posting struct {
	hash   uint32 // of the key
	offset uint32 // for ruleBlock.keyAt, in the block of the policy
	ruleRef
}

// ruleRef refers to a rule of a policy.
type ruleRef struct {
	slot   uint32 // of the policy: see Snapshot.slots
	packed uint32 // the index of its entry, and in the last byte its traits
}

func newRuleRef(slot uint32, index int, t traits) ruleRef {
	return ruleRef{slot, uint32(index)<<8 | uint32(t)} //nolint:gosec // at most maxEntryIndex, 24 bits
}

func (r ruleRef) traits() traits { return traits(r.packed & 0xff) }
func (r ruleRef) index() int32   { return int32(r.packed >> 8) }

func (p *posting) continues() bool { return traits(p.packed)&continuesRun != 0 } //nolint:gosec // the traits are the last byte

func (p *posting) setContinues(continues bool) {
	p.packed &^= uint32(continuesRun)
	if continues {
		p.packed |= uint32(continuesRun)
	}
}

// keyHash returns the hash of a key. Postings are sorted by it.
func keyHash(seed maphash.Seed, key []byte) uint32 { return uint32(maphash.Bytes(seed, key) >> 32) }

// nameHash is keyHash for a key in a string.
func nameHash(seed maphash.Seed, name string) uint32 { return uint32(maphash.String(seed, name) >> 32) }

// find returns the postings of a key, in the order in which their policies were added. The caller passes the hash of
// the key, so that the indexes of several scopes can be searched with one hash.
func find[Key string | []byte](s *Snapshot, x *index, hash uint32, key Key) []posting {
	if x.count == 0 {
		return nil
	}
	shard := x.shards[hash>>x.shift]
	low := lowerBound(shard, hash, x.shift)
	for low < len(shard) && shard[low].hash == hash {
		end := low + 1
		for end < len(shard) && shard[end].continues() {
			end++
		}
		if string(s.keyOf(&shard[low])) == string(key) {
			return shard[low:end]
		}
		low = end // another key with the same hash
	}
	return nil
}

// lowerBound returns the position of the first posting whose hash is not less than hash. Since hashes are spread
// evenly, it first tries the positions near the interpolated one. If many postings have the same key, the one that it
// looks for is not near; it then does a binary search.
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

// postingsOf returns the postings of policies, sorted by hash.
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
	slices.SortFunc(postings, func(a, b posting) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.slot, b.slot), cmp.Compare(a.offset, b.offset))
	})
	return postings
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

// mergedShard returns the postings of old and added, sorted by hash, without those of the removed policies, which are
// given by their slots. old and added are sorted by hash.
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
	for len(old) > 0 || len(added) > 0 {
		hash := uint32(1<<32 - 1)
		if len(old) > 0 {
			hash = old[0].hash
		}
		if len(added) > 0 {
			hash = min(hash, added[0].hash)
		}
		begin, follows := len(merged), false
		for len(old) > 0 && old[0].hash == hash {
			p := old[0]
			old = old[1:]
			follows = follows && p.continues()
			if !removed[p.slot] {
				p.setContinues(follows)
				merged = append(merged, p)
				follows = true
			}
		}
		for len(added) > 0 && added[0].hash == hash {
			merged = s.put(merged, begin, added[0])
			added = added[1:]
		}
	}
	return merged
}

// put inserts a posting behind those with the same key. All postings from begin on have the same hash as p.
func (s *Snapshot) put(postings []posting, begin int, p posting) []posting {
	if last := len(postings) - 1; last >= begin && bytes.Equal(s.keyOf(&postings[last]), s.keyOf(&p)) {
		p.setContinues(true) // nearly always: keys with the same hash are rare
		return append(postings, p)
	}
	for from := begin; from < len(postings); {
		end := from + 1
		for end < len(postings) && postings[end].continues() {
			end++
		}
		if bytes.Equal(s.keyOf(&postings[from]), s.keyOf(&p)) {
			p.setContinues(true)
			return slices.Insert(postings, end, p)
		}
		from = end
	}
	p.setContinues(false)
	return append(postings, p)
}
