// Package storedsnapshot keeps the rules in force in a file, and puts them in force at a start at which the API server
// does not answer. Package snapshotfile is the format of the file.
//
// Only the owner of the file may read it, because policies and lists contain addresses.
package storedsnapshot
