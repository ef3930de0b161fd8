// Package budget decides which policies and lists of a namespace fit into its memory limit.
//
// It uses stored sizes only, with room for a second version of everything, because the earlier version stays in force
// during a change. So the same objects get the same result in every replica, whatever the replica held before.
package budget
