// Package publish reads the lists that policies name ([Lists]), compiles the policies of each namespace, and puts the
// policies of all namespaces in force together, as one snapshot ([Publisher]).
package publish
