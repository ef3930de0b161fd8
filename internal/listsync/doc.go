// Package listsync brings a list from where others keep it into ConfigMaps that policies name, and stands between the two:
// a list is third-party content that decides who may register, so what it changes is judged before it is written.
//
//   - [Fetcher] reads a source within limits.
//   - [Syncer] compares it with what the cluster has, asks the guard, and writes: new shards first, then the index moves,
//     what was replaced goes after a while.
//
// Nothing here returns or writes a local part of an address, or what a URL may hold of credentials.
package listsync
