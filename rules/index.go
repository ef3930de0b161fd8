package rules

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
)

// index finds the rules of a scope by their keys. It is immutable: a change makes another one, which shares the shards that hold
// none of what changed.
//
// A shard holds the postings whose hashes begin with the same bits, in the order of these. The keys themselves stand in the
// blocks of the policies, so that a rule takes 16 bytes here, without a pointer for the collector to follow.
type index struct {
	shards [][]posting // a power of two
	shift  uint8       // the bits of a hash that do not count for its shard
	count  int         // of postings
}

// usualShard is how many postings a shard has on average, at most twice as many: few enough that a change copies little.
const usualShard = 64

// posting says that a rule of a policy has the key with this hash.
type posting struct {
	hash   uint32
	offset uint32 // of the key in the block of the policy
	use
}

// use is an entry of a policy, as it matches.
type use struct {
	slot uint32 // of the policy: see Snapshot.rank
	what uint32 // its index, and in the last byte its traits
}

func newUse(slot uint32, index int, t traits) use {
	return use{slot, uint32(index)<<8 | uint32(t)} //nolint:gosec // at most maxEntryIndex, 24 bits
}

func (u use) traits() traits { return traits(u.what & 0xff) }
func (u use) index() int32   { return int32(u.what >> 8) }

func (p *posting) continues() bool { return traits(p.what)&continuesRun != 0 } //nolint:gosec // the traits are the last byte

func (p *posting) setContinues(continues bool) {
	p.what &^= uint32(continuesRun)
	if continues {
		p.what |= uint32(continuesRun)
	}
}

// keyHash returns the hash by which postings are ordered.
func keyHash(seed maphash.Seed, key []byte) uint32 { return uint32(maphash.Bytes(seed, key) >> 32) }

// nameHash is keyHash for a name.
func nameHash(seed maphash.Seed, name string) uint32 { return uint32(maphash.String(seed, name) >> 32) }

// find returns the postings of a key.
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

// lowerBound returns the place of the first posting whose hash is not less. Hashes are spread evenly, so it is near where it would be
// if they were a ruler; where many postings have one key, it may not be.
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
func (s *Snapshot) keyOf(p *posting) []byte { return s.policies[s.rank[p.slot]].rules.keyAt(p.offset) }

// placed is a policy and its slot.
type placed struct {
	slot   uint32
	policy *Compiled
}

// edited returns the index without the rules of some policies, and then with those of others. s is the snapshot that it will
// be part of: of those that stay or come, it has the blocks.
func (x *index) edited(s *Snapshot, gone, come []placed) index {
	added := postingsOf(s, come)
	count := x.count + len(added)
	for i := range gone {
		count -= gone[i].policy.ruleCount
	}
	if count == 0 {
		return index{}
	}
	e := x.resharded(count)
	changed := make([]bool, len(e.shards))
	slots := make(map[uint32]bool, len(gone))
	for i := range gone {
		slots[gone[i].slot] = true
		for rule := range gone[i].policy.rules.all {
			changed[keyHash(s.seed, rule.key)>>e.shift] = true
		}
	}
	for i := range e.shards {
		n := 0
		for n < len(added) && added[n].hash>>e.shift == uint32(i) {
			n++
		}
		if n > 0 || changed[i] {
			e.shards[i] = s.mergedShard(e.shards[i], added[:n], slots)
		}
		added = added[n:]
	}
	e.count = count
	return e
}

// postingsOf returns the postings of policies, in the order of their hashes.
func postingsOf(s *Snapshot, policies []placed) []posting {
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
			postings = append(postings, posting{keyHash(s.seed, rule.key), rule.offset, newUse(policies[i].slot, rule.index, rule.traits)})
		}
	}
	slices.SortFunc(postings, func(a, b posting) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.slot, b.slot), cmp.Compare(a.offset, b.offset))
	})
	return postings
}

// resharded returns the index with as many shards as so many postings want, in a directory of its own. Postings are not copied:
// what one shard holds is a part of what another held.
func (x *index) resharded(count int) index {
	e := index{shards: slices.Clone(x.shards), shift: x.shift}
	if len(e.shards) == 0 {
		e.shards, e.shift = make([][]posting, 1), 32
	}
	for count > 2*usualShard*len(e.shards) {
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
	for len(e.shards) > 1 && count*8 < usualShard*len(e.shards) {
		e.shift++
		whole := make([][]posting, 0, len(e.shards)/2)
		for pair := range slices.Chunk(e.shards, 2) {
			whole = append(whole, slices.Concat(pair...))
		}
		e.shards = whole
	}
	return e
}

// mergedShard returns a shard without the postings of some slots, and with others. Both are in the order of hashes.
func (s *Snapshot) mergedShard(old, added []posting, gone map[uint32]bool) []posting {
	kept := 0
	for i := range old {
		if !gone[old[i].slot] {
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
			if !gone[p.slot] {
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

// put puts a posting at the end of the run of its key. All from begin on have its hash.
func (s *Snapshot) put(postings []posting, begin int, p posting) []posting {
	if last := len(postings) - 1; last >= begin && bytes.Equal(s.keyOf(&postings[last]), s.keyOf(&p)) {
		p.setContinues(true) // nearly always: there is one key with the hash
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
