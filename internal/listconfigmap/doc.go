// Package listconfigmap reads and writes lists that are stored in ConfigMaps.
//
// A small list is one ConfigMap. Each of its keys holds a text with one entry per line. A list that is too large for
// one ConfigMap is split into shards, which are immutable ConfigMaps. The ConfigMap that policies name is then the
// index: it holds the names and digests of the shards, in order. Shards are written before the index, and deleted when
// no index names them.
//
// A list is read completely or not at all. If a deny list were used without one of its shards, the people whom that
// shard denies could register.
package listconfigmap
