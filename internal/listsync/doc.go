// Package listsync writes lists into the ConfigMaps that policies name.
//
// [Syncer.Sync] compares new content with the content in the cluster, checks it with internal/listguard, and writes it:
// first new shards, then the index that names them. It deletes replaced content after [Request.Keep]. [Syncer.Rollback]
// writes replaced content again.
//
// This package never returns or writes the local part of an address, or credentials that a URL contains.
package listsync
