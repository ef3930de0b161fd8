// Package snapshotfile is the file that a replica keeps its last good snapshot in, for a start while the API server is away: the
// policies and lists that the snapshot was compiled from, not what they were compiled to. A file is believed as a whole or not at
// all. It holds addresses of policies, and so nobody but its owner may read it.
//
// The digest that is checked tells damage, not forgery: whoever can write as the operator's user can write a good file.
package snapshotfile
