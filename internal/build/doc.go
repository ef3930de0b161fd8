// Package build turns the stored policies of a namespace into compiled ones.
//
// A build reads the spec of each policy, converts it to a [rules.Policy], reads and compiles the lists that it names,
// and compiles the policy. It repeats only the steps whose input has changed since the last build.
package build
