// Package snapshotfile is the file format of a stored snapshot: it encodes the policies in force with their lists, and
// decodes a file completely or refuses it. It opens no file; package storedsnapshot does.
//
// The checksum detects damage, not forgery: a process of the same user can write a valid file.
package snapshotfile
