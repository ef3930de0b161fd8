package rules

import (
	"hash/maphash"
	"maps"
)

// shardedMap is an immutable map. A changed copy shares the unchanged shards with the original. Its zero value is
// empty.
type shardedMap[V any] struct {
	seed   maphash.Seed
	shards []map[string]V // empty, or mapShards maps
}

// mapShards is the number of shards. With 256, a map of tens of thousands of keys has shards of some hundred keys, and
// the slice of shards is still cheap to copy.
const mapShards = 256

func (m *shardedMap[V]) get(key string) (value V, found bool) {
	if len(m.shards) == 0 {
		return value, false
	}
	value, found = m.shards[maphash.String(m.seed, key)%mapShards][key]
	return value, found
}

// mapEdit changes a copy of a shardedMap. It copies a shard before the first change to the shard.
type mapEdit[V any] struct {
	result shardedMap[V]
	copied [mapShards]bool
}

func editMap[V any](m shardedMap[V], seed maphash.Seed) *mapEdit[V] {
	e := &mapEdit[V]{result: shardedMap[V]{seed, make([]map[string]V, mapShards)}}
	copy(e.result.shards, m.shards)
	return e
}

func (e *mapEdit[V]) shard(key string) map[string]V {
	at := maphash.String(e.result.seed, key) % mapShards
	if !e.copied[at] {
		e.copied[at] = true
		if e.result.shards[at] == nil {
			e.result.shards[at] = map[string]V{}
		} else {
			e.result.shards[at] = maps.Clone(e.result.shards[at])
		}
	}
	return e.result.shards[at]
}

func (e *mapEdit[V]) set(key string, value V) { e.shard(key)[key] = value }
func (e *mapEdit[V]) delete(key string)       { delete(e.shard(key), key) }
