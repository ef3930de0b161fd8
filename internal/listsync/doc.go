// Package listsync copies a list from an external source into ConfigMaps that policies name. A list is third-party
// content that decides who may register, so a guard checks each change before it is written.
//
//   - [Fetcher] reads a source within limits.
//   - [Syncer] compares the content with the cluster's, runs the guard, and writes: first new shards, then the index.
//     It deletes replaced content after [Request.Keep].
//
// This package never returns or writes the local part of an address, or credentials that a URL contains.
package listsync
