// Package differential compares how this module and other implementations parse addresses and domains.
// docs/policies/addresses.md explains each kind of difference. The tests fail at a difference of any other kind.
package differential
