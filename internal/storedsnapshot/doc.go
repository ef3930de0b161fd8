// Package storedsnapshot stores the rules in force in a file, so that an operator can start while the API server does
// not answer. The file holds the policies as applied and their lists as compiled. It is used completely or not at all.
// Only its owner may read it, because policies and lists contain addresses.
//
// The digest in the file detects damage, not forgery: a process of the same user can write a valid file.
package storedsnapshot
