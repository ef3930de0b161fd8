// Package listsync writes lists into the ConfigMaps that policies name. Package internal/listconfigmap defines their
// format: a list is one ConfigMap, or an index that names the shards of the list.
//
// [Syncer.Sync] compares new content with the content in the cluster, checks it with internal/listguard, and writes it:
// first new shards, then the index. It keeps the replaced content as a revision, another ConfigMap, for the time
// [Request.Keep]. [Syncer.Rollback] writes the content of a revision again.
//
// This package never returns or writes the local part of an address, or credentials that a URL contains.
package listsync
