// Package listconfigmap is the format of ConfigMaps that hold a list, to read and to write.
//
// A small list is one ConfigMap; each of its keys is a text of one entry a line. A list that one ConfigMap cannot hold is an index
// that names shards by their content: immutable ConfigMaps, which are written before the index names them and deleted when no index
// does any more. A list is read whole or not at all: a lost shard must not thin a list that denies.
package listconfigmap
