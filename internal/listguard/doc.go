// Package listguard checks new content of a list before it is written. A list is third-party content that decides who
// may register: a poisoned or broken one could turn customers away, or let anybody in.
//
// [Change.Refusals] compares the new content with the old one and with the policies of the namespace. No refusal names
// the local part of an address.
package listguard
