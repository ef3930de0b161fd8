// Package publish resolves the lists that policies name, and puts the rules of all namespaces in force in one snapshot.
package publish
