// Package verbtest is what the tests of verbs share: running a verb, comparing what it prints with golden files and pages of
// the reference, and writing the files that it reads.
package verbtest
