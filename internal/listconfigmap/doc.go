// Package listconfigmap reads and writes lists that are stored in ConfigMaps.
//
// A small list is one ConfigMap; each of its keys holds a text with one entry per line. A list that exceeds one
// ConfigMap is split into shards, which are immutable ConfigMaps, and an index that names each shard by its digest.
// Shards are written before the index, and deleted when no index names them. A list is read completely or not at all: a
// lost shard must not shorten a deny list.
package listconfigmap
