// Package differential holds our reading of addresses and domains against those of others. Every class of difference is explained
// in docs/addresses.md; one of no class is a fault of ours, or theirs, that nobody has looked at yet.
package differential
