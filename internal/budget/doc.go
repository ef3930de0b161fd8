// Package budget decides what of a namespace's policies and lists fits into the memory that the namespace may take.
//
// It goes by stored sizes alone, with room for a second version of everything: all replicas take a change at the same moment, while
// the earlier version is in force. So the same objects have the same answer in each replica, whatever it held before.
package budget
