// Package budget decides which policies and lists of a namespace fit into its memory limit.
//
// It estimates the memory from stored sizes only, so that the same objects get the same result in every replica. Each
// estimate includes a second version of the object, because the earlier version stays in force during a change.
package budget
